/*
 * Packet lines, see srd_trace.h. Nothing of this is in a hurry.
 */
#include "srd/peer/srd_trace.h"
#include "srd/peer/srd_addr.h"

/* Without it libucs prints nothing. */
#define UCT_SRD_TRACE_LEVEL \
    ((UCS_MAX_LOG_LEVEL < UCS_LOG_LEVEL_TRACE_DATA) ? \
     (ucs_log_level_t)UCS_MAX_LOG_LEVEL : UCS_LOG_LEVEL_TRACE_DATA)

typedef struct {
    char addrs[160];                  /* "fe80::1/5 -> fe80::2/7"             */
    char dump[256];                   /* the tracer's                         */
} uct_srd_trace_text_t;

int uct_srd_trace_is_wanted(void)
{
    return (UCT_SRD_TRACE_LEVEL < UCS_LOG_LEVEL_TRACE_DATA) &&
           (ucs_global_opts.log_component.log_level >=
            UCS_LOG_LEVEL_TRACE_DATA);
}

static const char *uct_srd_trace_addrs(const uct_srd_iface_t *iface,
                                       uct_am_trace_type_t type,
                                       const void *gid, uint32_t qpn,
                                       uct_srd_trace_text_t *text)
{
    char local[64], remote[64];

    if (gid == NULL) {
        snprintf(remote, sizeof(remote), "?/%u", qpn);
    } else {
        uct_srd_addr_str(gid, qpn, remote, sizeof(remote));
    }

    snprintf(text->addrs, sizeof(text->addrs), "%s %s %s",
             uct_srd_addr_str(iface->queues.self.gid, iface->queues.self.qpn,
                              local, sizeof(local)),
             (type == UCT_AM_TRACE_TYPE_SEND) ? "->" : "<-", remote);
    return text->addrs;
}

static void uct_srd_trace_am(uct_srd_iface_t *iface, uct_am_trace_type_t type,
                             const uct_srd_peer_t *peer, uint32_t epoch,
                             uint32_t imm, const char *note, const void *data,
                             size_t length)
{
    unsigned am_id = uct_srd_imm_am_id(imm);
    uct_srd_trace_text_t text;

    text.dump[0] = '\0';
    uct_iface_dump_am(&iface->super, type, am_id, data, length, text.dump,
                      sizeof(text.dump) - 1);
    text.dump[sizeof(text.dump) - 1] = '\0';
    ucs_log(UCT_SRD_TRACE_LEVEL,
            "srd: %s %s AM psn %u epoch %u%s%s am_id %u len %zu %s",
            (type == UCT_AM_TRACE_TYPE_SEND) ? "SEND" : "RECV",
            uct_srd_trace_addrs(iface, type, peer->ident.gid, peer->ident.qpn,
                                &text),
            imm & UCT_SRD_IMM_PSN_MASK, epoch,
            (imm & UCT_SRD_IMM_EXT) ? " header" : "", note, am_id, length,
            text.dump);
}

static void uct_srd_trace_ctl(uct_srd_iface_t *iface, uct_am_trace_type_t type,
                              const void *gid, uint32_t qpn,
                              const uct_srd_ext_t *ext)
{
    static const char *const names[] = UCT_SRD_OP_NAMES;
    uct_srd_trace_text_t text;
    char tail[96] = "";

    static_assert(ucs_static_array_size(names) == UCT_SRD_OP_LAST,
                  "each operation has its name");
    if (uct_srd_op_has_tail(ext->op)) {
        snprintf(tail, sizeof(tail),
                 " word 0x%x next %u flags 0x%x generation %u", ext->word,
                 ext->next, ext->flags, ext->generation);
    }

    ucs_log(UCT_SRD_TRACE_LEVEL,
            "srd: %s %s %s epoch %u arg %u window %u features 0x%x uid "
            "0x%" PRIx64 "%s",
            (type == UCT_AM_TRACE_TYPE_SEND) ? "SEND" : "RECV",
            uct_srd_trace_addrs(iface, type, gid, qpn, &text), names[ext->op],
            ext->epoch, ext->arg, ext->window, ext->features, ext->uid, tail);
}

/* Of a GPU's memory only the header is shown, which is ours. */
static void uct_srd_trace_send_zcopy(uct_srd_iface_t *iface,
                                     const uct_srd_slot_t *slot, uint32_t imm,
                                     const char *note)
{
    size_t header  = slot->sge[0].length;
    size_t payload = slot->sge[1].length;
    void *data;

    data = (slot->flags & UCT_SRD_SLOT_DEVICE) ?
                   NULL :
                   ucs_malloc(header + payload + 1, "srd_trace");
    if (data == NULL) {
        uct_srd_trace_am(iface, UCT_AM_TRACE_TYPE_SEND, slot->peer,
                         slot->peer->epoch, imm, " (header alone)", slot->data,
                         header);
        return;
    }

    memcpy(data, slot->data, header);
    if (payload > 0) {
        memcpy(UCS_PTR_BYTE_OFFSET(data, header), (void *)slot->sge[1].addr,
               payload);
    }
    uct_srd_trace_am(iface, UCT_AM_TRACE_TYPE_SEND, slot->peer,
                     slot->peer->epoch, imm, note, data, header + payload);
    ucs_free(data);
}

void uct_srd_trace_send(uct_srd_iface_t *iface, const uct_srd_slot_t *slot,
                        uint32_t imm)
{
    const char *note = (slot->flags & UCT_SRD_SLOT_AGAIN) ? " again" : "";
    const struct ibv_sge *sge;

    if (slot->flags & UCT_SRD_SLOT_ZCOPY) {
        uct_srd_trace_send_zcopy(iface, slot, imm, note);
    } else {
        sge = &slot->sge[(slot->flags & UCT_SRD_SLOT_BUF) ? 2 : 0];
        uct_srd_trace_am(iface, UCT_AM_TRACE_TYPE_SEND, slot->peer,
                         slot->peer->epoch, imm, note, (void *)sge->addr,
                         sge->length);
    }
}

void uct_srd_trace_send_ctl(uct_srd_iface_t *iface, const uct_srd_slot_t *slot)
{
    const void *gid = (slot->ah != NULL) ? slot->ah->gid.raw :
                                           slot->peer->ident.gid;
    uct_srd_ext_t ext;

    if (uct_srd_ext_unpack(slot->data, slot->sge[0].length, slot->imm, &ext) ==
        UCT_SRD_EXT_OK) {
        uct_srd_trace_ctl(iface, UCT_AM_TRACE_TYPE_SEND, gid, slot->dest.qpn,
                          &ext);
    }
}

void uct_srd_trace_rma(uct_srd_iface_t *iface, const uct_srd_slot_t *slot,
                       uint32_t rkey)
{
    const uct_srd_peer_t *peer = slot->peer;
    const struct ibv_sge *sge  = &slot->sge[1];
    uct_srd_trace_text_t text;

    ucs_log(UCT_SRD_TRACE_LEVEL,
            "srd: SEND %s %s op %u len %u [va 0x%" PRIx64 " lkey 0x%x] "
            "[rva 0x%" PRIx64 " rkey 0x%x]",
            uct_srd_trace_addrs(iface, UCT_AM_TRACE_TYPE_SEND, peer->ident.gid,
                                peer->ident.qpn, &text),
            (slot->flags & UCT_SRD_SLOT_READ) ? "READ" : "WRITE",
            slot->imm & UCT_SRD_IMM_PSN_MASK, sge->length, sge->addr, sge->lkey,
            slot->rma.remote_addr, rkey);
}

void uct_srd_trace_recv(uct_srd_peer_t *peer, uint32_t imm, const void *data,
                        size_t length, uct_srd_ring_result_t result)
{
    static const char *const notes[] = {
        [UCT_SRD_RING_AWAITED]   = "",
        [UCT_SRD_RING_OUT_OF_ORDER]     = " early",
        [UCT_SRD_RING_DUPLICATE] = " duplicate, dropped",
        [UCT_SRD_RING_VIOLATION] = " outside of the window, refused",
        [UCT_SRD_RING_NO_MEMORY] = " early, no memory to keep it"
    };

    uct_srd_trace_am(peer->iface,
                     (result <= UCT_SRD_RING_OUT_OF_ORDER) ?
                             UCT_AM_TRACE_TYPE_RECV :
                             UCT_AM_TRACE_TYPE_RECV_DROP,
                     peer, peer->rx.epoch, imm, notes[result], data, length);
}

void uct_srd_trace_recv_ctl(uct_srd_iface_t *iface, const uct_srd_ext_t *ext)
{
    uct_srd_trace_ctl(iface, UCT_AM_TRACE_TYPE_RECV, ext->gid, ext->qpn, ext);
}

void uct_srd_trace_dropped(const uct_srd_iface_t *iface, const void *gid,
                           uint32_t qpn, unsigned counter)
{
#define UCT_SRD_TRACE_TEXT(_name, _text) _text,
    static const char *const texts[] = {
        EFA_STATS_IFACE_COUNTERS(UCT_SRD_TRACE_TEXT)
    };
#undef UCT_SRD_TRACE_TEXT
    uct_srd_trace_text_t text;

    ucs_log(UCT_SRD_TRACE_LEVEL, "srd: RECV %s %s",
            uct_srd_trace_addrs(iface, UCT_AM_TRACE_TYPE_RECV, gid, qpn, &text),
            texts[counter]);
}
