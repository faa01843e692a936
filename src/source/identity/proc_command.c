/* The process name as nvidia-smi prints it, reduced to its base name. */
#include "source/identity/proc_command.h"

#include "base/utf8.h"
#include "model/facts.h"

static bool has_blank(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ' || (text.p[i] >= '\t' && text.p[i] <= '\r'))
            return true;
    }
    return false;
}

/* Empty when CMDLINE holds no usable program name. */
static struct str program_name(struct str cmdline, bool is_truncated)
{
    const struct str nothing = {NULL, 0};
    ptrdiff_t end = str_find(cmdline, '\0');
    if (end < 0 && is_truncated)
        return nothing;
    struct str name = end < 0 ? cmdline : str_part(cmdline, 0, (size_t)end);
    if (has_blank(name))
        return nothing;
    size_t slash = (size_t)(str_find_last(name, '/') + 1);
    name = str_part(name, slash, name.n - slash);
    bool is_login_shell = name.n > 1 && name.p[0] == '-';
    return is_login_shell ? str_part(name, 1, name.n - 1) : name;
}

struct str proc_command_parse(struct str cmdline, bool is_truncated, struct str comm)
{
    struct str name = program_name(cmdline, is_truncated);
    return utf8_cut(name.n ? name : comm, FACTS_COMMAND_BYTES);
}
