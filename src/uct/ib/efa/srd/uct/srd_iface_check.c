/*
 * What holds of an interface while none of its functions is at work:
 *
 *   tables are true    who is in one is alive, and the other way round
 *   gates              say what stops a peer
 *   the segment        shows what is
 *
 * Asked by the fuzzer after each step, and by the tests of UCT before an
 * interface is closed. Slots and receive buffers are counted by the fuzzer,
 * which knows what the device has (test/fuzz/fuzz_check.c).
 */
#include "srd/uct/srd_iface.h"
#include "srd/peer/srd_gate.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"

#if UCT_SRD_CHECKS

/* The first one that is broken is kept. */
#define UCT_SRD_CHECK(_condition, _format, ...) \
    do { \
        if (!(_condition) && (why[0] == '\0')) { \
            snprintf(why, UCT_SRD_CHECK_MAX, _format, ##__VA_ARGS__); \
        } \
    } while (0)

/* How many entries of the table are the peer's */
static unsigned uct_srd_iface_check_names(uct_srd_iface_t *iface,
                                          const uct_srd_peer_t *peer, char *why)
{
    unsigned names      = 1 + peer->rare->aliases.num;
    uct_srd_ident_t any = peer->ident;
    unsigned i;

    UCT_SRD_CHECK(uct_srd_names_find(iface, &peer->ident) == peer,
                  "a peer is not in the table");
    for (i = 0; i < peer->rare->aliases.num; ++i) {
        UCT_SRD_CHECK(uct_srd_names_find(iface,
                                         &peer->rare->aliases.idents[i]) ==
                              peer,
                      "an alias means somebody else");
    }

    UCT_SRD_CHECK((peer->rare->resume.successor == NULL) ||
                          (peer->rare->resume.successor->rare->resume
                                   .predecessor == peer),
                  "successor");
    if (peer->rare->resume.predecessor != NULL) {
        UCT_SRD_CHECK((peer->rare->resume.predecessor->rare->resume.successor ==
                       peer) &&
                              uct_srd_gate_has(peer, UCT_SRD_GATE_SUCCESSOR) &&
                              !peer->rx.known && !peer->ctl.contacted &&
                              uct_srd_peer_is_quiet(peer) &&
                              (peer->tx.psn == 0) && (peer->rma.psn == 0),
                      "predecessor");
    }

    if (peer->rx.known) {
        any.qkey = UCT_SRD_ANY_QKEY;
        UCT_SRD_CHECK(uct_srd_names_find(iface, &any) == peer,
                      "not known by its QPN");
        any.qkey = peer->ident.qkey;
        any.qpn  = UCT_SRD_ANY_QPN;
        names += 1 + (uct_srd_names_find(iface, &any) == peer);
    }
    return names;
}

static int uct_srd_iface_check_is_of_ahn(const uct_srd_iface_t *iface,
                                         const uct_srd_peer_t *peer)
{
    khiter_t iter = kh_get(uct_srd_ahns, &iface->peers.ahns,
                           peer->ahn.key >> 16);
    const uct_srd_peer_t *other;

    if (iter == kh_end(&iface->peers.ahns)) {
        return 0;
    }

    for (other = kh_val(&iface->peers.ahns, iter).peers;
         (other != NULL) && (other != peer); other = other->ahn.next) {
    }
    return other == peer;
}

/* Those with pending requests come first. */
static void uct_srd_iface_check_eps(const uct_srd_peer_t *peer, char *why)
{
    unsigned pending = 0, before = 1;
    uct_srd_ep_t *ep;

    ucs_list_for_each(ep, &peer->eps.list, list) {
        UCT_SRD_CHECK(before || (ep->num_pending == 0), "order of endpoints");
        before = ep->num_pending > 0;
        pending += ep->num_pending;
    }
    UCT_SRD_CHECK(pending == peer->eps.pending, "%u of %u pending", pending,
                  peer->eps.pending);
}

/* Each bit says what its owner knows. */
static void uct_srd_iface_check_gate(const uct_srd_peer_t *peer, char *why)
{
    unsigned messages   = (uint16_t)(peer->tx.psn - peer->tx.una.una);
    unsigned operations = (uint16_t)(peer->rma.psn - peer->rma.una.una);

    UCT_SRD_CHECK(uct_srd_gate_has(peer, UCT_SRD_GATE_STATE) ==
                          (peer->state != UCT_SRD_PEER_JOINED),
                  "gate: state");
    UCT_SRD_CHECK(uct_srd_gate_has(peer, UCT_SRD_GATE_NO_AH) ==
                          (peer->ah == NULL),
                  "gate: AH");
    UCT_SRD_CHECK(uct_srd_gate_has(peer, UCT_SRD_GATE_SUCCESSOR) ==
                          (peer->rare->resume.predecessor != NULL),
                  "gate: successor");
    UCT_SRD_CHECK(uct_srd_gate_has(peer, UCT_SRD_GATE_RETRANSMIT) ==
                          !ucs_queue_is_empty((ucs_queue_head_t *)&peer->tx
                                                      .retransmit),
                  "gate: retransmission");
    UCT_SRD_CHECK(uct_srd_gate_has(peer, UCT_SRD_GATE_EP_FAILED) ==
                          (peer->eps.failed > 0),
                  "gate: endpoints");
    UCT_SRD_CHECK((peer->tx.gate != 0) ==
                          ((peer->tx.flags & UCT_SRD_PEER_TX_CLOSED) != 0),
                  "gate 0x%x, flags 0x%x", peer->tx.gate, peer->tx.flags);
    UCT_SRD_CHECK((peer->tx.gate == 0) || (peer->tx.credit == 0),
                  "gate 0x%x, credit %u", peer->tx.gate, peer->tx.credit);
    UCT_SRD_CHECK((peer->tx.credit == 0) ||
                          ((peer->tx.credit + messages <= peer->tx.window) &&
                           (peer->tx.credit + messages + operations <=
                            peer->iface->config.peer_window)),
                  "credit %u, %u messages, %u operations", peer->tx.credit,
                  messages, operations);
    UCT_SRD_CHECK(peer->holds == 0, "held %u times", peer->holds);
}

/* What the segment shows of a peer, unless it shows many as one */
static void uct_srd_iface_check_shown(const uct_srd_peer_t *peer, char *why)
{
    const uct_efa_stats_peer_t *stats = peer->stats;
    unsigned queued = ucs_queue_length((ucs_queue_head_t *)&peer->tx
                                               .retransmit) +
                      ucs_queue_length((ucs_queue_head_t *)&peer->tx.held) +
                      ucs_queue_length((ucs_queue_head_t *)&peer->rma.held);

    if (uct_efa_stats_peer_is_shared(stats)) {
        return;
    }

    UCT_SRD_CHECK((uint16_t)stats->tx_msgs == peer->tx.psn, "%u of %u sent",
                  (uint16_t)stats->tx_msgs, peer->tx.psn);
    UCT_SRD_CHECK((uint16_t)stats->tx_done == peer->tx.una.una, "%u of %u done",
                  (uint16_t)stats->tx_done, peer->tx.una.una);
    UCT_SRD_CHECK(!peer->rx.started ||
                          ((uint16_t)(stats->rx_first + stats->rx_msgs) ==
                           peer->rx.ring.next),
                  "%u of %u awaited",
                  (uint16_t)(stats->rx_first + stats->rx_msgs),
                  peer->rx.ring.next);
    UCT_SRD_CHECK(stats->depth == peer->rx.ring.held, "depth");
    UCT_SRD_CHECK(stats->queued == queued, "%" PRIu64 " of %u queued",
                  stats->queued, queued);
    UCT_SRD_CHECK(stats->rma == uct_srd_peer_rma_outstanding(peer),
                  "operations");
    UCT_SRD_CHECK(stats->window == peer->tx.window, "window");
    UCT_SRD_CHECK(!!stats->suspected ==
                          uct_srd_gate_has(peer, UCT_SRD_GATE_SUSPECTED),
                  "suspected");
    UCT_SRD_CHECK(!!stats->blocked ==
                          uct_srd_gate_has(peer, UCT_SRD_GATE_BLOCKED),
                  "blocked");
    UCT_SRD_CHECK(stats->gate == peer->tx.gate, "gate");
    UCT_SRD_CHECK(stats->pending == peer->eps.pending, "pending");
    UCT_SRD_CHECK(stats->eps == peer->eps.num, "endpoints");
    UCT_SRD_CHECK(!uct_srd_gate_has(peer, UCT_SRD_GATE_FENCE) || stats->fence,
                  "fence");
    UCT_SRD_CHECK(!uct_srd_timer_is_set(&peer->tx.timer) || stats->backoff,
                  "pause");
    UCT_SRD_CHECK((stats->wait_time != 0) ==
                          ((stats->suspected | stats->pending | stats->backoff |
                            stats->fence | stats->blocked) != 0),
                  "wait_time");
}

void uct_srd_iface_check(uct_srd_iface_t *iface, char why[UCT_SRD_CHECK_MAX])
{
    unsigned peers = 0, names = 0, keys = 0, timers = 0, ahs = 0;
    unsigned special = iface->rx.unverified + (iface->rx.stash_len > 0);
    uct_srd_peer_t *peer, *other;
    khiter_t iter;

    why[0] = '\0';
    ucs_list_for_each(peer, &iface->peers.alive, list) {
        ++peers;
        names += uct_srd_iface_check_names(iface, peer, why);
        special += peer->rx.blind + peer->rx.no_ah;
        uct_srd_iface_check_shown(peer, why);
        uct_srd_iface_check_gate(peer, why);
        timers += uct_srd_timer_is_set(&peer->ctl.timer) +
                  uct_srd_timer_is_set(&peer->tx.timer) +
                  uct_srd_timer_is_set(&peer->rare->suspect.timer);
        UCT_SRD_CHECK(peer->state < UCT_SRD_PEER_FAILED, "a dead peer");
        if (peer->ahn.key != UCT_SRD_NO_KEY) {
            ++keys;
            iter = kh_get(uct_srd_keys, &iface->peers.keys, peer->ahn.key);
            UCT_SRD_CHECK((iter != kh_end(&iface->peers.keys)) &&
                                  (kh_val(&iface->peers.keys, iter) == peer),
                          "a peer's key means somebody else");
            UCT_SRD_CHECK(uct_srd_iface_check_is_of_ahn(iface, peer),
                          "its AH number does not know it");
        }
        uct_srd_iface_check_eps(peer, why);
    }

    ucs_list_for_each(peer, &iface->peers.with_ah, ahn.list) {
        UCT_SRD_CHECK(peer->ah != NULL, "no AH");
        ++ahs;
    }
    UCT_SRD_CHECK(iface->peers.num_with_ah == ahs, "%u AHs of %u",
                  iface->peers.num_with_ah, ahs);

    for (iter = 0; iter < kh_end(&iface->peers.names); ++iter) {
        other = uct_srd_names_at(iface, iter);
        UCT_SRD_CHECK((other == NULL) || (other->state < UCT_SRD_PEER_FAILED),
                      "a dead peer");
    }
    UCT_SRD_CHECK(kh_size(&iface->peers.names) == names,
                  "%u entries for %u names of %u peers",
                  kh_size(&iface->peers.names), names, peers);
    UCT_SRD_CHECK(kh_size(&iface->peers.keys) == keys, "%u keys of %u",
                  kh_size(&iface->peers.keys), keys);
    UCT_SRD_CHECK(iface->rx.special == special, "%u of %u reasons",
                  iface->rx.special, special);
    timers += uct_srd_timer_is_set(&iface->recover.timer);
    UCT_SRD_CHECK(iface->timers.count == timers, "%u timers of %u",
                  iface->timers.count, timers);
}

/* Not from within callbacks: for the tests, which find it by this name in the
 * module. */
void ucx_efasrd_check(uct_iface_h iface, char why[UCT_SRD_CHECK_MAX])
        __attribute__((visibility("default")));

void ucx_efasrd_check(uct_iface_h tl_iface, char why[UCT_SRD_CHECK_MAX])
{
    uct_srd_iface_check(ucs_derived_of(tl_iface, uct_srd_iface_t), why);
}

#endif
