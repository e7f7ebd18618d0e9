/*
 * What holds at any time, whatever others send:
 *
 *   nothing is lost       every slot is free, with the device or in a queue;
 *                         every receive buffer is posted, about to be, or
 *                         missed and counted; the pool's are all accounted for
 *   tables are true       who is in one is alive, and the other way round
 *   memory is bounded     records: one for each queue pair that has sent, one
 *                         for each address that the program connected to
 *   no amplification      to nobody more answers than messages came from it
 *                         (srd-wire.md, section 5); to strangers none
 */
#include "fuzz.h"

#include "base/md/efa_md.h"
#include "srd/peer/srd_peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Section 4 and 5: what answers something */
#define AT_OP         1
#define OP_HELLO_ACK  2
#define OP_EXT_ACK    4
#define OP_BYE_ACK    6
#define OP_REJECT     8
#define OP_REJOIN_ACK 10
#define OP_KEY_ACK    12
#define IMM_CTL       (1u << 22)

int fuzz_verbose;

void fuzz_broken(const char *file, int line, const char *format, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "%s:%d: BROKEN: ", file, line);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    abort();
}

/* ---- sends ------------------------------------------------------------- */

void fuzz_check_posted(const fuzz_send_t *send)
{
    uint8_t data[FUZZ_MAX_MSG];
    int who = fuzz_who_find(send->gid, send->qpn);

    fuzz_device_gather(send, data);
    FUZZ_SAY("    post to %d: imm 0x%08x, %u bytes, operation %d\n", who,
             send->imm, send->length, (send->imm & IMM_CTL) ? data[AT_OP] : 0);
    if (!(send->imm & IMM_CTL) ||
        ((data[AT_OP] != OP_HELLO_ACK) && (data[AT_OP] != OP_EXT_ACK) &&
         (data[AT_OP] != OP_BYE_ACK) && (data[AT_OP] != OP_REJECT) &&
         (data[AT_OP] != OP_REJOIN_ACK) && (data[AT_OP] != OP_KEY_ACK))) {
        return;
    }

    /* Its association has ended, with an endpoint that is told or without one,
     * wherever it is by now. */
    if ((data[AT_OP] == OP_REJECT) && fuzz_honest_had(send->gid, send->qpn)) {
        fuzz_honest_settle();
    }

    if (who < 0) {
        FUZZ_CHECK(fuzz_user_knows(send->gid, send->qpn) ||
                           fuzz_honest_had(send->gid, send->qpn),
                   "operation %u goes to a stranger", data[AT_OP]);
        return;
    }

    ++fuzz_who[who].answers;
    FUZZ_CHECK(fuzz_who[who].answers <=
                       fuzz_who[who].sent_to_us + fuzz_who[who].excuses,
               "%u answers to %u, who sent %u messages", fuzz_who[who].answers,
               who, fuzz_who[who].sent_to_us);
}

/* ---- accounts ---------------------------------------------------------- */

static unsigned check_stash(int sends)
{
    unsigned count = 0;
    unsigned i;

    for (i = 0; i < fuzz_iface->rx.stash_len; ++i) {
        count += (sends ==
                  (int)(fuzz_iface->rx.stash[i].wc.wr_id & UCT_SRD_WR_ID_SEND));
    }
    return count;
}

static void check_receives(void)
{
    unsigned found = fuzz_queues->num_recvs + fuzz_queues->num_recv_cqes +
                     check_stash(0) + fuzz_iface->rx.chain_len +
                     fuzz_iface->rx.missing;

    if (fuzz_iface->recover.is) {
        return; /* those of queues that are given up, or were not finished */
    }

    FUZZ_CHECK(found == fuzz_iface->rx.depth,
               "%u receive buffers of %u: %u posted, %u in the CQ, %u in the "
               "chain, %u missing",
               found, fuzz_iface->rx.depth, fuzz_queues->num_recvs,
               fuzz_queues->num_recv_cqes, fuzz_iface->rx.chain_len,
               fuzz_iface->rx.missing);
}

static unsigned check_peer_queues(const uct_srd_peer_t *peer)
{
    return ucs_queue_length(&((uct_srd_peer_t *)peer)->tx.retransmit) +
           ucs_queue_length(&((uct_srd_peer_t *)peer)->tx.held) +
           ucs_queue_length(&((uct_srd_peer_t *)peer)->rma.held);
}

static void check_slots(void)
{
    unsigned found = fuzz_iface->tx.num_free + fuzz_iface->tx.num_ctl +
                     fuzz_queues->num_sends + fuzz_queues->num_cqes -
                     fuzz_queues->num_recv_cqes + check_stash(1);
    uct_srd_peer_t *peer;

    /* Whoever has noticed a reset knows that these will not come back */
    if (!fuzz_iface->recover.is) {
        found += fuzz_queues->num_lost;
    }

    ucs_list_for_each(peer, &fuzz_iface->peers.alive, list) {
        found += check_peer_queues(peer);
    }
    ucs_list_for_each(peer, &fuzz_iface->peers.failed, list) {
        found += check_peer_queues(peer);
    }
    FUZZ_CHECK(found == fuzz_iface->tx.num_slots, "%u slots of %u", found,
               fuzz_iface->tx.num_slots);
}

/* And what the transport itself knows to hold */
static void check_peers(void)
{
    unsigned peers = 0, idle = 0;
    char why[UCT_SRD_CHECK_MAX];
    uct_srd_peer_t *peer;

    uct_srd_iface_check(fuzz_iface, why);
    FUZZ_CHECK(why[0] == '\0', "%s", why);
    ucs_list_for_each(peer, &fuzz_iface->peers.alive, list) {
        ++peers;
        idle += (peer->eps.num == 0);
    }
    FUZZ_CHECK(idle <= FUZZ_WHO_NUM + fuzz_user_num_connects(),
               "%u records without endpoints, %u peers", idle, peers);
}

void fuzz_check_show(void)
{
    const uct_efa_stats_iface_t *stats = fuzz_iface->stats;
    uct_srd_peer_t *peer;

    if (!fuzz_verbose) {
        return;
    }

    printf("dropped: imm %" PRIu64 " header %" PRIu64 " version %" PRIu64
           " forged %" PRIu64 " epoch %" PRIu64 " unknown %" PRIu64
           " failed %" PRIu64 " memory %" PRIu64 "; early %" PRIu64
           " twice %" PRIu64 ", starved %" PRIu64 "\n",
           stats->drop_imm, stats->drop_header, stats->drop_version,
           stats->drop_forged, stats->drop_epoch, stats->drop_unknown,
           stats->drop_failed, stats->drop_nomem, stats->out_of_order,
           stats->dup, stats->rx_starved);
    printf("rx: %u posted, %u completions, chain %u, missing %u, depth %u, "
           "special %u, stash %u\n",
           fuzz_queues->num_recvs, fuzz_queues->num_cqes,
           fuzz_iface->rx.chain_len, fuzz_iface->rx.missing,
           fuzz_iface->rx.depth, fuzz_iface->rx.special,
           fuzz_iface->rx.stash_len);
    ucs_list_for_each(peer, &fuzz_iface->peers.alive, list) {
        printf("peer of %d: %s, endpoints %u, next %u, held %u, AH %d, key "
               "0x%x, acked %d; to send again %zu, later %zu, operations %zu, "
               "timers %d %d\n",
               fuzz_who_find(peer->ident.gid, peer->ident.qpn),
               uct_srd_peer_state_names[peer->state], peer->eps.num,
               peer->rx.ring.next, peer->rx.ring.held,
               (peer->ah == NULL) ? -1 : peer->ah->ahn, peer->ahn.key,
               peer->rx.acked, ucs_queue_length(&peer->tx.retransmit),
               ucs_queue_length(&peer->tx.held),
               ucs_queue_length(&peer->rma.held),
               uct_srd_timer_is_set(&peer->ctl.timer),
               uct_srd_timer_is_set(&peer->tx.timer));
    }
}

void fuzz_check_step(void)
{
    fuzz_direct_sync();
    fuzz_direct_check();
    check_receives();
    check_slots();
    check_peers();
}

/* ---- quiet ------------------------------------------------------------- */

static unsigned check_pool_used(const ucs_mpool_t *mp)
{
    const ucs_mpool_chunk_t *chunk;
    const ucs_mpool_elem_t *elem;
    unsigned count = 0;

    for (chunk = mp->data->chunks; chunk != NULL; chunk = chunk->next) {
        count += chunk->num_elems;
    }
    for (elem = mp->freelist; elem != NULL; elem = elem->next) {
        --count;
    }
    return count;
}

/* In a ring: descriptors, or copies with the low bit set */
static unsigned check_ring_descs(const uct_srd_ring_t *ring)
{
    unsigned held = 0, descs = 0;
    unsigned i;

    for (i = 0; (ring->entries != NULL) && (i < ring->places); ++i) {
        held += (ring->entries[i] != NULL);
        descs += (ring->entries[i] != NULL) &&
                 !((uintptr_t)ring->entries[i] & 1);
    }
    FUZZ_CHECK(held == ring->held, "a ring of %u holds %u", ring->held, held);
    return descs;
}

static void check_descs(void)
{
    unsigned used = check_pool_used(&fuzz_iface->rx.mp);
    unsigned found;
    uct_srd_desc_t *desc;
    uct_srd_peer_t *peer;

    found = fuzz_queues->num_recvs + fuzz_queues->num_recv_cqes +
            check_stash(0) + fuzz_iface->rx.chain_len + fuzz_user_num_kept();
    for (desc = fuzz_iface->rx.free; desc != NULL;
         desc = (uct_srd_desc_t *)desc->wr.next) {
        ++found;
    }
    ucs_list_for_each(peer, &fuzz_iface->peers.alive, list) {
        found += check_ring_descs(&peer->rx.ring);
    }
    FUZZ_CHECK(found == used, "%u receive descriptors are in use, %u found",
               used, found);
}

void fuzz_check_quiet(void)
{
    unsigned bufs = 0;
    uct_srd_buf_t *buf;

    fuzz_check_show();
    fuzz_check_step();
    check_descs();
    FUZZ_CHECK(fuzz_iface->tx.num_free == fuzz_iface->config.tx_queue_len,
               "%u slots of %u are free", fuzz_iface->tx.num_free,
               fuzz_iface->config.tx_queue_len);
    FUZZ_CHECK(fuzz_iface->tx.num_ctl == UCT_SRD_CTL_SLOTS,
               "%u slots for control messages", fuzz_iface->tx.num_ctl);
    FUZZ_CHECK(ucs_list_is_empty(&fuzz_iface->tx.rma_peers), "operations");
    FUZZ_CHECK(fuzz_user_num_ops() == 0, "%u operations wait for nothing",
               fuzz_user_num_ops());
    for (buf = fuzz_iface->tx.bufs; buf != NULL; buf = buf->next) {
        ++bufs;
    }
    FUZZ_CHECK(bufs == fuzz_iface->tx.num_bufs, "%u buffers of %u", bufs,
               fuzz_iface->tx.num_bufs);
}
