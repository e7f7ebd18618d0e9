/*
 * Why an endpoint, a peer or an interface does not move: one word of a closed
 * list, from one snapshot of its stats segment, and since when. See why.c.
 */
#ifndef WHY_H
#define WHY_H

#include "tools/reader/stats_reader.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order in which they are looked for: the first that holds is shown. The
 * texts are those of `srdtool res help`. */
#define WHY_LIST(X) \
    X(NO_PROGRESS_CALLS, "no-progress-calls", \
      "its process lives and does not call progress") \
    X(RECOVERING, "recovering", \
      "its device or queue pair is lost") \
    X(PEER_UNRESPONSIVE, "peer-unresponsive", \
      "the remote side does not answer, or has failed") \
    X(WAITS_HANDSHAKE, "waits-handshake", \
      "the remote side has not confirmed the handshake") \
    X(RNR_BACKOFF, "rnr-backoff", \
      "the remote side has no receive buffer") \
    X(WAITS_FENCE, "waits-fence", "a fence waits for earlier operations") \
    X(WAITS_WINDOW, "waits-window", \
      "a full window of messages is in flight") \
    X(REORDER_GAP, "reorder-gap", \
      "messages that have arrived wait for an earlier one") \
    X(READY, "ready", "nothing holds it")

#define WHY_ENUM(_NAME, _name, _text) WHY_##_NAME,
typedef enum {
    WHY_LIST(WHY_ENUM)
    WHY_LAST
} why_t;

typedef struct {
    const stats_segment_t   *segment;
    const efa_stats_iface_t *iface;  /* NULL: not known                      */
    const efa_stats_peer_t  *peer;   /* NULL: none                           */
    const efa_stats_ep_t    *ep;     /* NULL: about the peer, or the iface   */
    bool                    idle;    /* polls of the iface did not move
                                         between two reads                  */
} why_input_t;

/* since: a time of the stats segment, 0: not known, or ready */
why_t why_get(const why_input_t *in, uint64_t *since);

/* NULL behind the last */
const char *why_name(unsigned why);
const char *why_text(unsigned why);

#ifdef __cplusplus
}
#endif

#endif
