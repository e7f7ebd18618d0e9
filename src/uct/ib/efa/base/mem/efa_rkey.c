/*
 * Packs and unpacks remote keys; the picture is in efa_rkey.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_rkey.h"

#include <endian.h>
#include <infiniband/verbs.h>

void uct_efa_rkey_pack(uint32_t rkey, unsigned ibv_access, unsigned generation,
                       void *buffer)
{
    uct_efa_packed_rkey_t *packed = buffer;

    packed->format = UCT_EFA_RKEY_FORMAT;
    packed->access = (uint8_t)(generation
                               << UCT_EFA_RKEY_PACKED_GENERATION_SHIFT);
    packed->rkey   = htole32(rkey);
    if (ibv_access & IBV_ACCESS_REMOTE_READ) {
        packed->access |= UCT_EFA_RKEY_PACKED_READ;
    }
    if (ibv_access & IBV_ACCESS_REMOTE_WRITE) {
        packed->access |= UCT_EFA_RKEY_PACKED_WRITE;
    }
}

ucs_status_t uct_efa_rkey_unpack(const void *buffer, uct_rkey_t *rkey_p,
                                 void **handle_p)
{
    const uct_efa_packed_rkey_t *packed = buffer;

    if (packed->format != UCT_EFA_RKEY_FORMAT) {
        ucs_error("a remote key has format %u, only %u is known: use the same "
                  "version of this library on both hosts; if it is the same, "
                  "the buffer that was unpacked is not a remote key",
                  packed->format, UCT_EFA_RKEY_FORMAT);
        return UCS_ERR_INVALID_PARAM;
    }

    *rkey_p = le32toh(packed->rkey);
    if (packed->access & UCT_EFA_RKEY_PACKED_READ) {
        *rkey_p |= UCT_EFA_RKEY_READ;
    }
    if (packed->access & UCT_EFA_RKEY_PACKED_WRITE) {
        *rkey_p |= UCT_EFA_RKEY_WRITE;
    }

    *rkey_p |= (uct_rkey_t)(packed->access >>
                            UCT_EFA_RKEY_PACKED_GENERATION_SHIFT)
               << UCT_EFA_RKEY_GENERATION_SHIFT;

    *handle_p = NULL;
    return UCS_OK;
}
