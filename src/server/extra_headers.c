/* The configuration's word counts more than ours. */
#include "server/extra_headers.h"

bool extra_headers_add(const struct extra_headers *headers, struct MHD_Response *response)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct extra_header *header = &headers->items[i];
        const char *own = MHD_get_response_header(response, header->name);
        if (own)
            MHD_del_response_header(response, header->name, own);
        if (MHD_add_response_header(response, header->name, header->value) != MHD_YES)
            return false;
    }
    return true;
}
