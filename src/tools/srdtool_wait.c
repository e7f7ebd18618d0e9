/*
 * srdtool res show ep, res show peer: who waits for what.
 *
 *   ep  --> peer (one of several endpoints' peers) --> iface
 *
 * One row an endpoint, with the word of why.c for it; a row for a peer has the
 * word for the peer as a whole. Windows are read twice: srdtool_windows.c.
 */
#include "srdtool.h"

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
    "+psn_una", "+psn_rx", "+rnr", "+resend", "+epoch", "+remote_epoch", NULL
};


static void add_peer(struct json_object *row, const window_t *window,
                     const efa_window_peer_t *peer)
{
    bool others = peer->rec.flags & EFA_WINDOW_RECORD_OVERFLOW;

    /* one record for all that found none has no state of its own */
    srdtool_row_gid(row, peer->gid);
    srdtool_row_uint(row, "qpn", peer->qpn);
    srdtool_row_bool(row, "others", others);
    srdtool_row_string(row, "state", others ? NULL :
                       window_peer_state_name(peer->state));
    srdtool_row_age(row, "state_ns", window, others ? 0 : peer->state_time);
    srdtool_row_uint(row, "unacked", window_unacked(peer));
    srdtool_row_uint(row, "window", peer->window);
    srdtool_row_uint(row, "depth", peer->depth);
    srdtool_row_age(row, "done_ns", window, peer->done_time);
    srdtool_row_age(row, "rx_ns", window, peer->rx_time);
}

static void add_why(struct json_object *row, const srdtool_window_t *w,
                    uint32_t iface_index, const efa_window_ep_t *ep,
                    const efa_window_peer_t *peer)
{
    why_input_t in = {
        .window = &w->window, .ep = ep, .peer = peer,
        .iface  = window_iface(&w->window, iface_index)
    };

    in.idle = in.iface != NULL && w->idle != NULL &&
              w->idle[in.iface - w->window.ifaces];
    srdtool_row_why(row, &in);
}

static struct json_object *
peer_row(const srdtool_window_t *w, const efa_window_peer_t *peer)
{
    struct json_object *row = srdtool_row_new(&w->window);

    srdtool_row_link(row, &w->window, peer->iface);
    add_peer(row, &w->window, peer);
    add_why(row, w, peer->iface, NULL, peer);
    srdtool_row_uint(row, "eps", peer->eps);
    srdtool_row_uint(row, "pending", peer->pending);
    srdtool_row_uint(row, "queued", peer->queued);
    srdtool_row_uint(row, "rma", peer->rma);
    srdtool_row_status(row, peer->status);
    srdtool_row_uint(row, "psn_next", window_psn_next(peer));
    srdtool_row_uint(row, "psn_una", window_psn_una(peer));
    srdtool_row_uint(row, "psn_rx", window_psn_rx(peer));
    srdtool_row_uint(row, "rnr", peer->rnr);
    srdtool_row_uint(row, "resend", peer->resend);
    srdtool_row_uint(row, "epoch", peer->epoch);
    srdtool_row_uint(row, "remote_epoch", peer->remote_epoch);
    return row;
}

struct json_object *srdtool_ep_row(const srdtool_window_t *w,
                                   const efa_window_ep_t *ep,
                                   const efa_window_peer_t *peer)
{
    struct json_object *row;

    if (ep == NULL) {
        return peer_row(w, peer);
    }

    row = srdtool_row_new(&w->window);
    srdtool_row_uint(row, "ep", ep->index);
    srdtool_row_link(row, &w->window, ep->iface);
    if (peer != NULL) {
        add_peer(row, &w->window, peer);
    }
    add_why(row, w, ep->iface, ep, peer);
    srdtool_row_uint(row, "pending", ep->pending);
    srdtool_row_status(row, (ep->status != 0 || peer == NULL) ? ep->status :
                                                               peer->status);
    srdtool_row_uint(row, "zcopy", ep->zcopy);
    srdtool_row_uint(row, "rma", ep->rma);
    srdtool_row_age(row, "age_ns", &w->window, ep->create_time);
    srdtool_row_string(row, "site", (ep->site[0] != '\0') ? ep->site : NULL);
    return row;
}

int srdtool_wait_show(srdtool_t *tool, bool peers, int num_words, char **words)
{
    const char *const *keys = peers ? peer_keys : srdtool_ep_keys;
    const srdtool_window_t *w;
    srdtool_windows_t windows;
    srdtool_filter_t filter;
    srdtool_list_t list;
    unsigned i, k;
    int status;

    status = srdtool_filter_parse(&srdtool_res, keys, num_words, words,
                                  &filter);
    if (status != 0) {
        return status;
    }

    srdtool_windows_load(tool, true, &windows);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < windows.num; ++i) {
        w = &windows.list[i];
        for (k = 0; peers && k < w->window.num_peers; ++k) {
            srdtool_list_add(&list, &filter, keys,
                             srdtool_ep_row(w, NULL, &w->window.peers[k]));
        }
        for (k = 0; !peers && k < w->window.num_eps; ++k) {
            srdtool_list_add(&list, &filter, keys,
                             srdtool_ep_row(w, &w->window.eps[k],
                                            window_ep_peer(&w->window,
                                                      &w->window.eps[k])));
        }
    }

    status = srdtool_windows_status(tool, &windows,
                                    srdtool_list_finish(&list));
    srdtool_windows_free(&windows);
    return status;
}
