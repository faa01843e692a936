/* Addresses and URLs of the kubelet and the API server. */
#include "source/kube/kube_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>

bool kube_address_parse(struct str address, struct str *host, struct str *port)
{
    ptrdiff_t colon = str_find_last(address, ':');
    uint32_t number;
    if (colon < 1)
        return false;
    *host = str_part(address, 0, (size_t)colon);
    *port = str_part(address, (size_t)colon + 1, address.n - (size_t)colon - 1);
    bool has_brackets = str_starts(*host, STR("[")) && str_ends(*host, STR("]"));
    if (has_brackets)
        *host = str_part(*host, 1, host->n - 2);
    else if (str_find(*host, ':') >= 0)
        return false;
    for (size_t i = 0; i < host->n; i++) {
        if (host->p[i] <= ' ' || host->p[i] > '~' || strchr("/?#@[]\\", host->p[i]))
            return false;
    }
    return host->n > 0 && str_u32(*port, &number) && number > 0 && number < 65536;
}

/* The literal address HOST; AF_UNSPEC when it is none. */
static sa_family_t parse_literal(struct str host, struct in_addr *v4, struct in6_addr *v6)
{
    char text[INET6_ADDRSTRLEN];
    if (host.n >= sizeof text)
        return AF_UNSPEC;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (inet_pton(AF_INET, text, v4) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, v6) == 1 ? AF_INET6 : AF_UNSPEC;
}

static bool is_same(const struct sockaddr *address, sa_family_t family,
                    const struct in_addr *v4, const struct in6_addr *v6)
{
    if (!address || address->sa_family != family)
        return false;
    if (family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return in.sin_addr.s_addr == v4->s_addr;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    return IN6_ARE_ADDR_EQUAL(&in6.sin6_addr, v6);
}

bool kube_address_is_local(struct str host)
{
    struct in_addr v4 = {0};
    struct in6_addr v6 = {0};
    sa_family_t family = parse_literal(host, &v4, &v6);
    if (family == AF_UNSPEC)
        return false;
    if (family == AF_INET ? ntohl(v4.s_addr) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&v6))
        return true;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return false;
    bool is_local = false;
    for (const struct ifaddrs *at = all; at && !is_local; at = at->ifa_next)
        is_local = is_same(at->ifa_addr, family, &v4, &v6);
    freeifaddrs(all);
    return is_local;
}

/* A literal IPv6 address stands in brackets in a URL. */
static void append_host(struct buf *url, struct str host)
{
    bool is_v6 = str_find(host, ':') >= 0;
    buf_append(url, is_v6 ? STR("[") : STR(""));
    buf_append(url, host);
    buf_append(url, is_v6 ? STR("]") : STR(""));
}

void kube_kubelet_url(struct buf *url, const char *name, struct str host, struct str port)
{
    buf_append(url, STR("https://"));
    append_host(url, name ? str_from(name) : host);
    buf_append_char(url, ':');
    buf_append(url, port);
    buf_append(url, STR("/pods/"));
}

static void append_query_text(struct buf *url, const char *text)
{
    for (; *text; text++) {
        char c = *text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_')
            buf_append_char(url, c);
        else
            buf_printf(url, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void kube_pods_url(struct buf *url, const char *base, const char *node,
                   const char *watch_from, unsigned timeout_seconds)
{
    struct str start = str_from(base);
    while (str_ends(start, STR("/")))
        start.n--;
    buf_append(url, start);
    buf_append(url, STR("/api/v1/pods?fieldSelector=spec.nodeName%3D"));
    append_query_text(url, node);
    /* 0: any version that the server has in its cache, without asking the store. */
    buf_append(url, STR("&resourceVersion="));
    append_query_text(url, watch_from ? watch_from : "0");
    if (watch_from)
        buf_printf(url, "&watch=1&allowWatchBookmarks=true&timeoutSeconds=%u",
                   timeout_seconds);
}
