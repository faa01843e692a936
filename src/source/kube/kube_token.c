/* A token goes into a header line: whatever could end the line is refused. */
#include "source/kube/kube_token.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>

int kube_token_read(const char *path, char token[KUBE_TOKEN_BYTES + 1], struct err *err)
{
    struct str text;
    int rc = fdio_read_at(AT_FDCWD, path, token, KUBE_TOKEN_BYTES, &text);
    if (rc < 0)
        return err_wrap(err, err_errno(err, -rc, "read %s", path),
                        "no service account token: let the pod mount one "
                        "(automountServiceAccountToken) or name it with "
                        "--kube.token-file");
    text = rc == FDIO_TRUNCATED ? STR("") : str_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] <= ' ' || text.p[i] > '~')
            text.n = 0;
    }
    if (!text.n)
        return err_set(err, EBADMSG, ERR_PARSE, 0, "%s holds no token", path);
    memmove(token, text.p, text.n);
    token[text.n] = '\0';
    return 0;
}
