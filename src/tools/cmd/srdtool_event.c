/*
 * srdtool event: the flight recorder.
 *
 *   show      what the rings of the segments hold, oldest first in each process
 *   monitor   what is written from now on, until interrupted or --count; what
 *             repeats an event that it has shown is not shown again
 *
 * Times of day come from the segment's two clocks, times of a reboot ago never:
 * segments do not live that long. A ring holds the last few hundred; monitor
 * says how many it has missed.
 */
#include "tools/cmd/srdtool.h"
#include "stats/efa_status.h"

#include <inttypes.h>
#include <string.h>

#define INTERVAL_MS 200
#define NO_IFACE    0xffffu

static const char *const keys[] = {
    "time", "pid", "comm", "gone", "+stopped", "event", "link", "+iface", "gid",
    "qpn", "what", "status", "repeats", "last", "+a", "+b", "+seq", NULL
};

/* What a and b say, in words */
static void describe(const efa_stats_event_entry_t *event, char *out,
                     size_t max)
{
    char status[UCT_EFA_STATUS_NAME_MAX];
    const char *name;

    out[0] = '\0';
    switch (event->event) {
    case EFA_STATS_EVENT_PEER_STATE:
        snprintf(out, max, "%s -> %s", stats_name_peer_state(event->a),
                 stats_name_peer_state((uint32_t)event->b));
        break;
    case EFA_STATS_EVENT_RX_DROP:
        name = stats_name_iface_counter(event->a);
        snprintf(out, max, "%s", (name != NULL) ? name : "?");
        break;
    case EFA_STATS_EVENT_REFUSED:
        snprintf(out, max, "%s: %s", stats_name_kind(event->a),
                 (event->b < 4096) ? strerror((int)event->b) : "?");
        break;
    case EFA_STATS_EVENT_LEAK:
        snprintf(out, max, "%s held for %" PRIu64 " us",
                 stats_name_kind(event->a), event->b);
        break;
    case EFA_STATS_EVENT_RNR:
        snprintf(out, max, "pause of %" PRIu32 " us", event->a);
        break;
    case EFA_STATS_EVENT_RECOVERED:
        snprintf(out, max, "after %" PRIu32 " us", event->a);
        break;
    case EFA_STATS_EVENT_CTL_TX:
    case EFA_STATS_EVENT_CTL_RX:
        snprintf(out, max, "%s%s", stats_name_control(event->a),
                 (event->event == EFA_STATS_EVENT_CTL_TX && event->b != 0) ?
                         " again" :
                         "");
        break;
    case EFA_STATS_EVENT_TX_ERROR:
        snprintf(out, max, "device status %s, %" PRIu64 " retries",
                 uct_efa_status_name(event->a, status), event->b);
        break;
    case EFA_STATS_EVENT_RX_ERROR:
    case EFA_STATS_EVENT_PEER_FAILED:
    case EFA_STATS_EVENT_PEER_SUSPECTED:
        if (event->a != 0) {
            snprintf(out, max, "device status %s",
                     uct_efa_status_name(event->a, status));
        }
        break;
    case EFA_STATS_EVENT_ASYNC:
        snprintf(out, max, "event %" PRIu32 ", %" PRIu64, event->a, event->b);
        break;
    case EFA_STATS_EVENT_AH_EVICT:
        snprintf(out, max, "ahn %" PRIu32, event->a);
        break;
    case EFA_STATS_EVENT_RESET:
        snprintf(out, max, "generation %" PRIu32, event->a);
        break;
    default:
        break;
    }
}

static struct json_object *event_row(const stats_segment_t *segment,
                                     const efa_stats_event_entry_t *event)
{
    static const uint8_t none[16];
    struct json_object *row = srdtool_row_new(segment);
    uint64_t wall           = stats_time_wall(segment, event->time);
    const char *name        = stats_name_event(event->event);
    char buffer[64];

    srdtool_row_string(row, "time", srdtool_time_wall(wall, buffer));
    srdtool_row_uint(row, "time_epoch", wall);
    snprintf(buffer, sizeof(buffer), "%u", (unsigned)event->event);
    srdtool_row_string(row, "event", (name != NULL) ? name : buffer);
    srdtool_row_string(row, "text", stats_name_event_text(event->event));
    if (event->iface != NO_IFACE) {
        srdtool_row_link(row, segment, event->iface);
    }
    if (memcmp(event->gid, none, sizeof(none)) != 0) {
        srdtool_row_gid(row, event->gid);
        srdtool_row_uint(row, "qpn", event->qpn);
    }
    describe(event, buffer, sizeof(buffer));
    srdtool_row_string(row, "what", (buffer[0] != '\0') ? buffer : NULL);
    srdtool_row_status(row, event->status);
    if (event->repeats > 0) {
        wall = stats_time_wall(segment, stats_time_event_last(event));
        srdtool_row_uint(row, "repeats", event->repeats);
        srdtool_row_string(row, "last", srdtool_time_wall(wall, buffer));
        srdtool_row_uint(row, "last_epoch", wall);
    }
    srdtool_row_uint(row, "a", event->a);
    srdtool_row_uint(row, "b", event->b);
    srdtool_row_uint(row, "seq", event->seq);
    return row;
}

static int show(srdtool_t *tool, const srdtool_filter_t *filter)
{
    srdtool_snapshots_t snapshots;
    srdtool_list_t list;
    unsigned i, k;
    int status;

    srdtool_snapshots_load(tool, false, &snapshots);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < snapshots.num; ++i) {
        for (k = 0; k < snapshots.list[i].segment.num_events; ++k) {
            srdtool_list_add(&list, filter, keys,
                             event_row(&snapshots.list[i].segment,
                                       &snapshots.list[i].segment.events[k]));
        }
    }

    status = srdtool_snapshots_status(tool, &snapshots,
                                      srdtool_list_finish(&list));
    srdtool_snapshots_free(&snapshots);
    return status;
}

/* Newest event of a segment, 0: none */
static uint64_t last_seq(const stats_segment_t *segment)
{
    return (segment->num_events == 0) ?
                   0 :
                   segment->events[segment->num_events - 1].seq;
}

/* One event, one line, also of JSON: whoever reads it does not wait for the
 * end. Returns whether it passed. */
static bool print_event(const srdtool_t *tool, const srdtool_filter_t *filter,
                        const stats_segment_t *segment,
                        const efa_stats_event_entry_t *event)
{
    struct json_object *row = event_row(segment, event);

    if (!srdtool_filter_match(filter, row)) {
        json_object_put(row);
        return false;
    }
    if (tool->out.json) {
        srdtool_print_json(&tool->out, row);
    } else {
        srdtool_print_row(&tool->out, keys, row);
        printf("\n");
        json_object_put(row);
    }
    return true;
}

/* Prints what came since `before`; true: that was enough */
static bool print_new(const srdtool_t *tool, const srdtool_filter_t *filter,
                      const srdtool_snapshots_t *before,
                      const srdtool_snapshots_t *snapshots, unsigned *shown)
{
    const srdtool_snapshot_t *same;
    const stats_segment_t *segment;
    uint64_t last;
    unsigned i, k;

    for (i = 0; i < snapshots->num; ++i) {
        segment = &snapshots->list[i].segment;
        same    = srdtool_snapshots_same(before, segment);
        last    = (same != NULL) ? last_seq(&same->segment) : 0;
        if (segment->num_events > 0 && last > 0 &&
            segment->events[0].seq > last + 1) {
            fprintf(stderr,
                    "srdtool: process %" PRIu32 ": %" PRIu64
                    " events were overwritten unseen\n",
                    segment->header.pid, segment->events[0].seq - last - 1);
        }
        for (k = 0; k < segment->num_events; ++k) {
            if (segment->events[k].seq > last &&
                print_event(tool, filter, segment, &segment->events[k]) &&
                tool->count > 0 && ++*shown == tool->count) {
                return true;
            }
        }
    }
    return false;
}

static int monitor(srdtool_t *tool, const srdtool_filter_t *filter)
{
    unsigned ms    = (tool->interval_ms > 0) ? tool->interval_ms : INTERVAL_MS;
    unsigned shown = 0;
    bool enough    = false;
    srdtool_snapshots_t before, snapshots;

    srdtool_snapshots_read(tool, &before);
    if (before.failed > 0) {
        srdtool_snapshots_free(&before);
        return SRDTOOL_NOTHING;
    }
    while (!enough && ferror(stdout) == 0 && srdtool_time_pause(ms)) {
        srdtool_snapshots_read(tool, &snapshots);
        enough = print_new(tool, filter, &before, &snapshots, &shown);
        fflush(stdout);
        srdtool_snapshots_free(&before);
        before = snapshots;
    }
    srdtool_snapshots_free(&before);
    return SRDTOOL_SHOWN;
}

static int run(srdtool_t *tool, int num_words, char **words)
{
    static const char *const commands[] = {"show", "monitor", NULL};
    srdtool_filter_t filter;
    int command = 0;

    if (num_words > 0) {
        command = srdtool_word_command(&srdtool_event, words[0], commands);
        if (command < 0) {
            return SRDTOOL_USAGE;
        }
        --num_words;
        ++words;
    }
    if (srdtool_filter_parse(&srdtool_event, keys, num_words, words, &filter) !=
        0) {
        return SRDTOOL_USAGE;
    }
    return (command == 0) ? show(tool, &filter) : monitor(tool, &filter);
}

const srdtool_object_t srdtool_event = {
    .name  = "event",
    .text  = "the flight recorder: control messages, errors, resets",
    .usage =
        "       srdtool event [show] [FILTER ...]\n"
        "       srdtool event monitor [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, as in: pid 0-100,654 event peer-suspected,rnr qpn "
        "12\n"
        "show: the last events of each process, oldest first; monitor: new\n"
        "ones, until interrupted or --count; with -j one document a line.\n",
    .run   = run
};
