/*
 * srdtool res show ep, res show peer: who waits for what.
 *
 *   ep  --> peer (one of several endpoints' peers) --> iface
 *
 * One row an endpoint, with the word of why.c for it; a row for a peer has the
 * word for the peer as a whole. Two snapshots are taken: srdtool_snapshots.c.
 */
#include "tools/cmd/srdtool.h"

#include <stddef.h>

const char *const srdtool_ep_keys[] = {
    "ep", "pid", "comm", "gone", "stopped", "link", "+iface", "gid", "qpn",
    "state", "state_ns", "why", "why_ns", "pending", "status", "+unacked",
    "+window", "+depth", "+zcopy", "+rma", "+done_ns", "+rx_ns", "+age_ns",
    "+site", NULL
};

static const char *const peer_keys[] = {
    "gid", "qpn", "pid", "comm", "gone", "stopped", "link", "+iface", "others",
    "state", "state_ns", "why", "why_ns", "eps", "pending", "unacked", "window",
    "depth", "queued", "rma", "status", "+done_ns", "+rx_ns", "+psn_next",
    "+psn_una", "+psn_rx", "+rnr", "+retransmit", "+epoch",
    "+remote_epoch", NULL
};

static void add_peer(struct json_object *row, const stats_segment_t *segment,
                     const efa_stats_peer_t *peer)
{
    bool others = peer->rec.flags & EFA_STATS_RECORD_OVERFLOW;

    /* one record for all that found none has no state of its own */
    srdtool_row_gid(row, peer->gid);
    srdtool_row_uint(row, "qpn", peer->qpn);
    srdtool_row_bool(row, "others", others);
    srdtool_row_string(row, "state",
                       others ? NULL : stats_name_peer_state(peer->state));
    srdtool_row_age(row, "state_ns", segment, others ? 0 : peer->state_time);
    srdtool_row_uint(row, "unacked", stats_peer_unacked(peer));
    srdtool_row_uint(row, "window", peer->window);
    srdtool_row_uint(row, "depth", peer->depth);
    srdtool_row_age(row, "done_ns", segment, peer->done_time);
    srdtool_row_age(row, "rx_ns", segment, peer->rx_time);
}

static void add_why(struct json_object *row, const srdtool_snapshot_t *snap,
                    uint32_t iface_index, const efa_stats_ep_t *ep,
                    const efa_stats_peer_t *peer)
{
    why_input_t in = {
        .segment = &snap->segment, .ep = ep, .peer = peer,
        .iface   = stats_link_iface(&snap->segment, iface_index)
    };

    in.idle = in.iface != NULL && snap->idle != NULL &&
              snap->idle[in.iface - snap->segment.ifaces];
    srdtool_row_why(row, &in);
}

static struct json_object *peer_row(const srdtool_snapshot_t *snap,
                                    const efa_stats_peer_t *peer)
{
    struct json_object *row = srdtool_row_new(&snap->segment);

    srdtool_row_link(row, &snap->segment, peer->iface);
    add_peer(row, &snap->segment, peer);
    add_why(row, snap, peer->iface, NULL, peer);
    srdtool_row_uint(row, "eps", peer->eps);
    srdtool_row_uint(row, "pending", peer->pending);
    srdtool_row_uint(row, "queued", peer->queued);
    srdtool_row_uint(row, "rma", peer->rma);
    srdtool_row_status(row, peer->status);
    srdtool_row_uint(row, "psn_next", stats_peer_psn_next(peer));
    srdtool_row_uint(row, "psn_una", stats_peer_psn_una(peer));
    srdtool_row_uint(row, "psn_rx", stats_peer_psn_rx(peer));
    srdtool_row_uint(row, "rnr", peer->rnr);
    srdtool_row_uint(row, "retransmit", peer->retransmit);
    srdtool_row_uint(row, "epoch", peer->epoch);
    srdtool_row_uint(row, "remote_epoch", peer->remote_epoch);
    return row;
}

struct json_object *srdtool_ep_row(const srdtool_snapshot_t *snap,
                                   const efa_stats_ep_t *ep,
                                   const efa_stats_peer_t *peer)
{
    struct json_object *row;

    if (ep == NULL) {
        return peer_row(snap, peer);
    }

    row = srdtool_row_new(&snap->segment);
    srdtool_row_uint(row, "ep", ep->index);
    srdtool_row_link(row, &snap->segment, ep->iface);
    if (peer != NULL) {
        add_peer(row, &snap->segment, peer);
    }
    add_why(row, snap, ep->iface, ep, peer);
    srdtool_row_uint(row, "pending", ep->pending);
    srdtool_row_status(row, (ep->status != 0 || peer == NULL) ? ep->status :
                                                                peer->status);
    srdtool_row_uint(row, "zcopy", ep->zcopy);
    srdtool_row_uint(row, "rma", ep->rma);
    srdtool_row_age(row, "age_ns", &snap->segment, ep->create_time);
    srdtool_row_string(row, "site", (ep->site[0] != '\0') ? ep->site : NULL);
    return row;
}

int srdtool_ep_show(const srdtool_object_t *object, srdtool_t *tool, bool peers,
                    int num_words, char **words)
{
    const char *const *keys = peers ? peer_keys : srdtool_ep_keys;
    const srdtool_snapshot_t *snap;
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    const efa_stats_peer_t *peer;
    const efa_stats_ep_t *ep;
    srdtool_list_t list;
    unsigned i, k;
    int status;

    status = srdtool_filter_parse(object, keys, num_words, words, &filter);
    if (status != 0) {
        return status;
    }

    srdtool_snapshots_load(tool, true, &snapshots);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < snapshots.num; ++i) {
        snap = &snapshots.list[i];
        for (k = 0; peers && k < snap->segment.num_peers; ++k) {
            srdtool_list_add(&list, &filter, keys,
                             peer_row(snap, &snap->segment.peers[k]));
        }
        for (k = 0; !peers && k < snap->segment.num_eps; ++k) {
            ep   = &snap->segment.eps[k];
            peer = stats_link_peer(&snap->segment, ep);
            srdtool_list_add(&list, &filter, keys,
                             srdtool_ep_row(snap, ep, peer));
        }
    }

    status = srdtool_snapshots_status(tool, &snapshots,
                                      srdtool_list_finish(&list));
    srdtool_snapshots_free(&snapshots);
    return status;
}
