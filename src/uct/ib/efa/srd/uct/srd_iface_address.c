/*
 * Addresses (srd-wire.md, 2): ours, which of others can be reached and why not,
 * and whether an endpoint leads there.
 *
 *   device address     GID                       16 bytes
 *   interface address  QPN, version, QKEY         8 bytes
 */
#include "srd/uct/srd_ep.h"
#include "srd/uct/srd_iface.h"
#include "srd/peer/srd_addr.h"
#include "srd/peer/srd_names.h"

ucs_status_t uct_srd_iface_get_device_address(uct_iface_h tl_iface,
                                              uct_device_addr_t *addr)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    memcpy(addr, iface->queues.self.gid, UCT_SRD_DEV_ADDR_LEN);
    return UCS_OK;
}

ucs_status_t uct_srd_iface_get_address(uct_iface_h tl_iface,
                                       uct_iface_addr_t *addr)
{
    uct_srd_iface_t *iface    = ucs_derived_of(tl_iface, uct_srd_iface_t);
    uct_srd_iface_addr_t self = {
        .qpn     = iface->queues.self.qpn,
        .version = UCT_SRD_WIRE_VERSION,
        .qkey    = iface->queues.self.qkey
    };

    uct_srd_iface_addr_pack(&self, addr);
    return UCS_OK;
}

int uct_srd_iface_address_is_good(const uct_efa_remote_t *remote, char *why,
                                  size_t max)
{
    static const uint8_t no_gid[16];
    const uint8_t *gid = remote->dev_addr;
    uct_srd_iface_addr_t addr;
    char str[64];

    if ((remote->dev_addr_len != UCT_EFA_LENGTH_UNKNOWN) &&
        (remote->dev_addr_len != UCT_SRD_DEV_ADDR_LEN)) {
        snprintf(why, max, "invalid device address length %zu, expected %d",
                 remote->dev_addr_len, UCT_SRD_DEV_ADDR_LEN);
        return 0;
    }

    if (gid == NULL) {
        snprintf(why, max, "invalid device address: there is none");
        return 0;
    }

    /* GIDs of EFA devices are unicast. Who of them may speak to whom, VPCs and
     * security groups decide, which no address names: the device's status of
     * the first message will say. */
    if ((memcmp(gid, no_gid, sizeof(no_gid)) == 0) || (gid[0] == 0xff)) {
        snprintf(why, max, "invalid remote GID %s",
                 uct_srd_addr_gid_str(gid, str, sizeof(str)));
        return 0;
    }

    if ((remote->iface_addr_len != UCT_EFA_LENGTH_UNKNOWN) &&
        (remote->iface_addr_len != UCT_SRD_IFACE_ADDR_LEN)) {
        snprintf(why, max, "invalid interface address length %zu, expected %d",
                 remote->iface_addr_len, UCT_SRD_IFACE_ADDR_LEN);
        return 0;
    }

    /* Later versions ask about a device alone, before an address is known */
    if (remote->iface_addr == NULL) {
        return 1;
    }

    uct_srd_iface_addr_unpack(remote->iface_addr, &addr);
    if (addr.version != UCT_SRD_WIRE_VERSION) {
        snprintf(why, max,
                 "remote speaks version %u of the SRD wire protocol, "
                 "local version %u",
                 addr.version, UCT_SRD_WIRE_VERSION);
        return 0;
    }

    if (addr.qkey & ~UCT_SRD_QKEY_MASK) {
        snprintf(why, max, "invalid remote QKEY 0x%x", addr.qkey);
        return 0;
    }

    return 1;
}

int uct_srd_iface_is_reachable_why(uct_iface_h tl_iface,
                                   const uct_efa_remote_t *remote, char *why,
                                   size_t max)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    char remote_str[64], local_str[64];

    if (!uct_srd_iface_address_is_good(remote, why, max)) {
        return 0;
    }

    if (remote->same_device && (memcmp(remote->dev_addr, iface->queues.self.gid,
                                       sizeof(iface->queues.self.gid)) != 0)) {
        snprintf(why, max, "same device is expected, remote GID %s local %s",
                 uct_srd_addr_gid_str(remote->dev_addr, remote_str,
                                      sizeof(remote_str)),
                 uct_srd_addr_gid_str(iface->queues.self.gid, local_str,
                                      sizeof(local_str)));
        return 0;
    }

    return 1;
}

int uct_srd_iface_is_reachable(const uct_iface_h tl_iface,
                               const uct_device_addr_t *dev_addr,
                               const uct_iface_addr_t *iface_addr)
{
    uct_efa_remote_t remote = {
        .dev_addr       = dev_addr,
        .dev_addr_len   = UCT_EFA_LENGTH_UNKNOWN,
        .iface_addr     = iface_addr,
        .iface_addr_len = UCT_EFA_LENGTH_UNKNOWN
    };
    char why[128];

    return uct_srd_iface_is_reachable_why(tl_iface, &remote, why, sizeof(why));
}

void uct_srd_iface_address_ident(const void *dev_addr, const void *iface_addr,
                                 uct_srd_ident_t *ident)
{
    uct_srd_iface_addr_t addr;

    uct_srd_iface_addr_unpack(iface_addr, &addr);
    memset(ident, 0, sizeof(*ident));
    memcpy(ident->gid, dev_addr, sizeof(ident->gid));
    ident->qpn  = addr.qpn;
    ident->qkey = addr.qkey;
}

int uct_srd_ep_is_connected(uct_ep_h tl_ep, const void *dev_addr,
                            const void *iface_addr)
{
    uct_srd_ep_t *ep        = ucs_derived_of(tl_ep, uct_srd_ep_t);
    uct_efa_remote_t remote = {
        .dev_addr       = dev_addr,
        .dev_addr_len   = UCT_EFA_LENGTH_UNKNOWN,
        .iface_addr     = iface_addr,
        .iface_addr_len = UCT_EFA_LENGTH_UNKNOWN
    };
    uct_srd_ident_t ident;
    char why[128];

    if ((iface_addr == NULL) ||
        !uct_srd_iface_address_is_good(&remote, why, sizeof(why))) {
        return 0;
    }

    uct_srd_iface_address_ident(dev_addr, iface_addr, &ident);
    return uct_srd_names_has(ep->peer, &ident);
}
