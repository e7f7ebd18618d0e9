/*
 * What UCX's own view of a process (ucx_vfs) has of an interface:
 *
 *   uct/worker/<worker>/iface/<iface>/
 *       qpn, data_path, tx/free_slots, rx/kept_buffers
 *       counters/<name>     those of the segment
 *       peers               one line for each
 *
 * It is read by a thread of UCX: only numbers that lie still are shown, from
 * the segment's blocks. Without the segment's file there are no lines of peers.
 */
#include "srd/uct/srd_iface.h"
#include "srd/peer/srd_addr.h"

#define UCT_SRD_VFS_COUNTER(_name, _text) \
    ucs_vfs_obj_add_ro_file(iface, ucs_vfs_show_primitive, \
                            &iface->stats->_name, UCS_VFS_TYPE_ULONG, \
                            "counters/" #_name);

static_assert(sizeof(unsigned long) == sizeof(uint64_t),
              "counters are shown as unsigned long");

static void uct_srd_iface_vfs_add_peer(const uct_efa_stats_peer_t *peer,
                                       void *arg)
{
    static const char *names[] = EFA_STATS_PEER_STATE_NAMES;
    ucs_string_buffer_t *strb  = arg;
    char remote[64];

    ucs_string_buffer_appendf(
            strb,
            "%s %s pending %lu tx_msgs %lu rx_msgs %lu retransmit %lu "
            "rnr %lu\n",
            uct_srd_addr_str(peer->gid, peer->qpn, remote, sizeof(remote)),
            (peer->state < EFA_STATS_PEER_LAST) ? names[peer->state] : "?",
            (unsigned long)peer->pending, (unsigned long)peer->tx_msgs,
            (unsigned long)peer->rx_msgs, (unsigned long)peer->retransmit,
            (unsigned long)peer->rnr);
}

static void uct_srd_iface_vfs_show_peers(void *obj, ucs_string_buffer_t *strb,
                                         UCS_V_UNUSED void *arg_ptr,
                                         UCS_V_UNUSED uint64_t arg_u64)
{
    uct_srd_iface_t *iface = obj;

    uct_efa_stats_peers_each(iface->stats, uct_srd_iface_vfs_add_peer, strb);
}

static void uct_srd_iface_vfs_show_path(void *obj, ucs_string_buffer_t *strb,
                                        UCS_V_UNUSED void *arg_ptr,
                                        UCS_V_UNUSED uint64_t arg_u64)
{
    static const char *names[] = EFA_STATS_PATH_NAMES;
    uct_srd_iface_t *iface     = obj;

    ucs_string_buffer_appendf(strb, "%s\n", names[iface->stats->data_path]);
}

void uct_srd_iface_vfs_refresh(uct_iface_h tl_iface)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    ucs_vfs_obj_add_ro_file(iface, ucs_vfs_show_primitive, &iface->tx.num_free,
                            UCS_VFS_TYPE_U32, "tx/free_slots");
    ucs_vfs_obj_add_ro_file(iface, ucs_vfs_show_primitive, &iface->rx.missing,
                            UCS_VFS_TYPE_U32, "rx/kept_buffers");
    ucs_vfs_obj_add_ro_file(iface, ucs_vfs_show_primitive,
                            &iface->queues.self.qpn, UCS_VFS_TYPE_U16, "qpn");
    ucs_vfs_obj_add_ro_file(iface, uct_srd_iface_vfs_show_path, NULL, 0,
                            "data_path");
    ucs_vfs_obj_add_ro_file(iface, uct_srd_iface_vfs_show_peers, NULL, 0,
                            "peers");
    EFA_STATS_IFACE_COUNTERS(UCT_SRD_VFS_COUNTER)
}
