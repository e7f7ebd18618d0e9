/*
 * Addresses as text.
 */
#include "srd/peer/srd_addr.h"

#include <arpa/inet.h>

const char *uct_srd_addr_gid_str(const void *gid, char *buf, size_t max)
{
    static_assert(INET6_ADDRSTRLEN <= 64, "the room that callers have");

    return inet_ntop(AF_INET6, gid, buf, max);
}

const char *uct_srd_addr_str(const void *gid, uint32_t qpn, char *buf,
                             size_t max)
{
    char str[64];

    ucs_snprintf_safe(buf, max, "%s/%u",
                      uct_srd_addr_gid_str(gid, str, sizeof(str)), qpn);
    return buf;
}
