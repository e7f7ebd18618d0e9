/*
 * The counters and events of the stats segment (efa_stats_format.h), as lists
 * for X macros. Append only: readers know words by their place. A counter that
 * is of no use any more stays 0.
 */
#ifndef EFA_STATS_COUNTERS_H
#define EFA_STATS_COUNTERS_H

/*
 * Counters of an interface, X(name, text). Eight words are a cache line; the
 * first line belongs to the send path, the second to the receive path.
 */
#define EFA_STATS_IFACE_COUNTERS(X) \
    X(tx_msgs,      "messages sent, first sending only") \
    X(tx_bytes,     "bytes of UCT payload in them") \
    X(tx_ext,       "sent with the extended header") \
    X(tx_doorbells, "posts to the send queue (a batch is one)") \
    X(no_resource,  "sends refused for want of a slot, buffer or window") \
    X(retransmit,   "messages retransmitted") \
    X(rnr,          "sends that met a receiver without buffers") \
    X(tx_ctl,       "control messages sent") \
    X(rx_msgs,      "messages delivered to active message handlers") \
    X(rx_bytes,     "bytes of UCT payload in them") \
    X(rx_ext,       "received with the extended header") \
    X(out_of_order, "arrived out of order, kept") \
    X(dup,          "arrived twice, dropped") \
    X(rx_refills,   "posts to the receive queue (a batch is one)") \
    X(rx_starved,   "refills that found no receive buffer") \
    X(rx_ctl,       "control messages received") \
    X(drop_imm,     "dropped: reserved bits of the immediate set") \
    X(drop_header,  "dropped: extended header malformed") \
    X(drop_version, "dropped: another protocol version") \
    X(drop_forged,  "dropped: identity is not the sender's") \
    X(drop_epoch,   "dropped: from an earlier association") \
    X(drop_unknown, "dropped: no extended header, sender not known") \
    X(drop_failed,  "dropped: the peer has failed") \
    X(drop_nomem,   "dropped: no memory for a peer, or too many " \
                    "self-asserted") \
    X(tx_errors,    "completions with an error that ended a peer") \
    X(rx_errors,    "receive completions with an error") \
    X(peers,        "peers made") \
    X(peers_gone,   "peers forgotten") \
    X(peers_failed, "peers failed") \
    X(eps,          "endpoints made") \
    X(eps_gone,     "endpoints closed") \
    X(ah_create,    "address handles made") \
    X(ah_evict,     "address handles given up to make room") \
    X(wakeups,      "completion events read") \
    X(hello,        "HELLO sent") \
    X(hello_ack,    "HELLO_ACK sent") \
    X(hello_retry,  "HELLO sent again") \
    X(rdma_read_ops,    "one-sided reads (get), first posting only") \
    X(rdma_read_bytes,  "bytes in them") \
    X(rdma_write_ops,   "one-sided writes (put), first posting only") \
    X(rdma_write_bytes, "bytes in them") \
    X(rdma_errors,      "one-sided operations that failed") \
    X(rdma_handshake,   "operations that had to wait for a new handshake") \
    X(resets,           "times that the device or our queue pair was lost") \
    X(recovered,        "of which there is a new one") \
    X(rejoined,         "peers that went on with us after our reset") \
    X(followed,         "peers that we followed after theirs") \
    X(peers_suspected,  "times that a peer stopped answering") \
    X(peers_found,      "of which it answered again") \
    X(rekeys,           "keys of peers' memory replaced after their reset") \
    X(polls,            "progress calls, and completions met in them")

/* Bits of gate in a PEER record: each stops what would be sent to the peer, or
 * makes a send look closer. Append only. */
enum {
    EFA_STATS_GATE_STATE      = 1u << 0, /* not JOINED                       */
    EFA_STATS_GATE_NO_AH      = 1u << 1, /* no address handle                */
    EFA_STATS_GATE_BLOCKED    = 1u << 2, /* the end of our own reset         */
    EFA_STATS_GATE_SUCCESSOR  = 1u << 3, /* it may be a peer that we know    */
    EFA_STATS_GATE_SUSPECTED  = 1u << 4, /* it does not answer               */
    EFA_STATS_GATE_FENCE      = 1u << 5, /* waits for one-sided operations   */
    EFA_STATS_GATE_RETRANSMIT = 1u << 6, /* earlier messages to send again   */
    EFA_STATS_GATE_EP_FAILED  = 1u << 7, /* one of its endpoints has failed  */
    EFA_STATS_GATE_TRACE      = 1u << 8  /* packets are logged               */
};

/*
 * Counters of a peer, X(name, text). The first eight words, one cache line, are
 * what messages change. Values are written when they change; a
 * time is
 *
 *   state_time, gap_time,   up to 1 ms old
 *   wait_time
 *   done_time, rx_time      that of one of the 128 progress calls and
 *                           completions before; of the same one where calls are
 *                           10 ms apart, or after a sleep
 *
 * PSNs follow: of the next message to send, tx_msgs; the lowest that is not
 * acknowledged, tx_done; the next one expected, rx_first + rx_msgs; modulo
 * 65536. In a block of several peers (OVERFLOW) present values and times mean
 * nothing.
 */
#define EFA_STATS_PEER_COUNTERS(X) \
    X(tx_msgs,    "messages sent, first sending only") \
    X(tx_bytes,   "bytes of UCT payload in them") \
    X(tx_done,    "of which acknowledged, with all before them") \
    X(rx_first,   "PSN that was expected when rx_msgs was 0") \
    X(rx_msgs,    "messages delivered") \
    X(rx_bytes,   "bytes of UCT payload in them") \
    X(done_time,  "when a completion of its messages was last seen") \
    X(rx_time,    "when a message from it was last seen") \
    X(retransmit, "messages retransmitted") \
    X(rnr,        "sends that met a receiver without buffers") \
    X(out_of_order, "arrived out of order, kept") \
    X(dup,        "arrived twice, dropped") \
    X(eps,        "endpoints that use this peer now") \
    X(suspected,  "1: it does not answer, at present") \
    X(window,     "messages that may be in flight, at present") \
    X(depth,      "kept for a missing earlier one, at present") \
    X(pending,    "requests that wait in its endpoints, at present") \
    X(queued,     "sends waiting for handshake or retransmission, at present") \
    X(backoff,    "1: pauses after RNR, at present") \
    X(fence,      "1: a fence waits for earlier operations, at present") \
    X(blocked,    "1: waits for the end of our own reset, at present") \
    X(rma,        "one-sided operations in flight, at present") \
    X(state_time, "when it came into its state") \
    X(gap_time,   "since when a message is missing, 0: none is") \
    X(wait_time,  "since when pending, suspected, backoff, fence, blocked; " \
                  "0: none") \
    X(gate,       "why messages do not leave at once, bits; 0: they do, at " \
                  "present")

/* Counters of a device, X(name, text). The first five are in the
 * order of efa_stats_kind_t, the next five, too. */
#define EFA_STATS_DEVICE_COUNTERS(X) \
    X(pd,        "protection domains held, at present") \
    X(cq,        "completion queues held, at present") \
    X(qp,        "queue pairs held, at present") \
    X(mr,        "memory regions held, at present") \
    X(ah,        "address handles held, at present") \
    X(pd_max,    "protection domains that the device has") \
    X(cq_max,    "completion queues that the device has") \
    X(qp_max,    "queue pairs that the device has") \
    X(mr_max,    "memory regions that the device has") \
    X(ah_max,    "address handles that the device has") \
    X(mr_bytes,  "bytes registered, at present") \
    X(refused,   "objects that the device did not make") \
    X(leaked,    "objects that were held when their owner was closed") \
    X(generation,"times that the device was opened again after a reset")

/*
 * Events, X(NAME, name, text). What a, b and status say is in the
 * text; status: of UCS where the name says nothing else.
 */
#define EFA_STATS_EVENTS_LIST(X) \
    X(PEER_STATE,  "peer-state",  "state a -> b") \
    X(PEER_FAILED, "peer-failed", "status; a: device status of the cause, 0") \
    X(PEER_SUSPECTED, "peer-suspected", "does not answer; a: device status") \
    X(PEER_FOUND,  "peer-found",  "answers again") \
    X(CTL_TX,      "ctl-tx",      "control message a sent, again if b") \
    X(CTL_RX,      "ctl-rx",      "control message a received") \
    X(RX_DROP,     "rx-drop",     "message dropped; a: index of the counter") \
    X(RNR,         "rnr",         "no buffers there, pause of a us") \
    X(TX_ERROR,    "tx-error",    "completion, a: device status, b: retries") \
    X(RX_ERROR,    "rx-error",    "receive completion with status a") \
    X(REFUSED,     "refused",     "object of kind a not made, b: errno") \
    X(AH_EVICT,    "ah-evict",    "address handle a given up to make room") \
    X(RESET,       "reset",       "device or queue pair lost, a: generation") \
    X(RECOVERED,   "recovered",   "a new one after a us") \
    X(GIVEN_UP,    "given-up",    "no device for RECOVERY_TIMEOUT") \
    X(REJOINED,    "rejoined",    "the peer went on after our reset") \
    X(FOLLOWED,    "followed",    "we followed the peer after its reset") \
    X(ASYNC,       "async",       "event a of the device, b: its QP or port") \
    X(LEAK,        "leak",        "object of kind a (5: endpoint), age b us") \
    X(EP_FAILED,   "ep-failed",   "endpoint alone failed, with status")

#endif
