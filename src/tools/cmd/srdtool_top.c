/*
 * srdtool top: what moves and what does not, again and again, in 80 columns.
 *
 *   srdtool top 13:55:01  2 processes, 3 links, 12 endpoints, 2 do not move
 *      PID COMM    LINK     STATE       TX/s  TXB/s   RX/s  RXB/s   EPS
 *   ...
 *      PID COMM    LINK        EP TO             WHY                FOR PEND
 *   ...                     sorted: what does not move first, longest first
 *
 * On a terminal the screen is drawn over and ends at its last line; elsewhere
 * it is a block of text, or a JSON document, each time, and complete.
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 1000

typedef struct {
    struct json_object *row;
    bool               ready;
    uint64_t           since;       /* ns that it has been waiting */
} line_t;

typedef struct {
    line_t   *list;
    unsigned num;
    unsigned waiting;
} lines_t;

static const char *get(struct json_object *row, const char *key)
{
    const char *value = json_object_get_string(json_object_object_get(row,
                                                                      key));

    return (value != NULL) ? value : "-";
}

/* "1234", "56.7k", "8.9G": at most 6 characters */
static const char *short_number(uint64_t value, char buffer[16])
{
    static const char units[] = " kMGTPE";
    double scaled             = (double)value;
    unsigned unit             = 0;

    while (scaled >= 9999.5 || (unit > 0 && scaled >= 999.95)) {
        scaled /= 1000;
        ++unit;
    }
    if (unit == 0) {
        snprintf(buffer, 16, "%" PRIu64, value);
    } else {
        snprintf(buffer, 16, "%.1f%c", scaled, units[unit]);
    }
    return buffer;
}

static int compare(const void *a, const void *b)
{
    const line_t *x = a, *y = b;

    if (x->ready != y->ready) {
        return x->ready ? 1 : -1;
    }
    if (x->since != y->since) {
        return (x->since > y->since) ? -1 : 1;
    }
    return (x->row > y->row) - (x->row < y->row);
}

static void add_line(lines_t *lines, const srdtool_filter_t *filter,
                     struct json_object *row)
{
    line_t *line;

    if (!srdtool_filter_match(filter, row)) {
        json_object_put(row);
        return;
    }
    line        = &lines->list[lines->num++];
    line->row   = row;
    line->ready = strcmp(get(row, "why"), why_name(WHY_READY)) == 0;
    line->since = json_object_get_uint64(json_object_object_get(row, "why_ns"));
    lines->waiting += !line->ready;
}

/* Endpoints; of a segment that has none, its peers */
static void get_lines(const srdtool_snapshots_t *snapshots,
                      const srdtool_filter_t *filter, lines_t *lines)
{
    const srdtool_snapshot_t *snap;
    const stats_segment_t *segment;
    const efa_stats_ep_t *ep;
    size_t room = 0;
    unsigned i, k;

    memset(lines, 0, sizeof(*lines));
    for (i = 0; i < snapshots->num; ++i) {
        segment = &snapshots->list[i].segment;
        room += (segment->num_eps > 0) ? segment->num_eps : segment->num_peers;
    }
    lines->list = calloc(room + 1, sizeof(*lines->list));
    if (lines->list == NULL) {
        return;
    }

    for (i = 0; i < snapshots->num; ++i) {
        snap    = &snapshots->list[i];
        segment = &snap->segment;
        for (k = 0; k < segment->num_eps; ++k) {
            ep = &segment->eps[k];
            add_line(lines, filter,
                     srdtool_ep_row(snap, ep, stats_link_peer(segment, ep)));
        }
        for (k = 0; segment->num_eps == 0 && k < segment->num_peers; ++k) {
            add_line(lines, filter,
                     srdtool_ep_row(snap, NULL, &segment->peers[k]));
        }
    }
    qsort(lines->list, lines->num, sizeof(*lines->list), compare);
}

static void free_lines(lines_t *lines)
{
    unsigned i;

    for (i = 0; i < lines->num; ++i) {
        json_object_put(lines->list[i].row);
    }
    free(lines->list);
}

/* -------------------------------------------------------------------- text */

static uint64_t rate(uint64_t now, uint64_t before, uint64_t ns)
{
    return (ns == 0 || now < before) ?
                   0 :
                   (uint64_t)((double)(now - before) * 1e9 / (double)ns);
}

static void print_link(const stats_segment_t *segment,
                       const stats_segment_t *before,
                       const efa_stats_iface_t *iface)
{
    const efa_stats_iface_t *old = NULL;
    uint64_t ns                  = 0;
    char numbers[4][16];

    if (before != NULL) {
        old = stats_link_iface(before, iface->index);
    }
    if (old != NULL) {
        ns = segment->now - before->now;
    } else {
        old = iface;
    }
    printf("%7" PRIu32 " %-9.9s %-11.11s %-10.10s %6s %6s %6s %6s %5" PRIu32
           "\n",
           segment->header.pid, segment->header.command, iface->name,
           segment->proc_state == 'T' ? "stopped" :
           iface->asleep              ? "asleep" :
                                        stats_name_iface_state(iface->state),
           short_number(rate(iface->tx_msgs, old->tx_msgs, ns), numbers[0]),
           short_number(rate(iface->tx_bytes + iface->rdma_write_bytes,
                             old->tx_bytes + old->rdma_write_bytes, ns),
                        numbers[1]),
           short_number(rate(iface->rx_msgs, old->rx_msgs, ns), numbers[2]),
           short_number(rate(iface->rx_bytes + iface->rdma_read_bytes,
                             old->rx_bytes + old->rdma_read_bytes, ns),
                        numbers[3]),
           (uint32_t)(iface->eps - iface->eps_gone));
}

static void print_line(const line_t *line)
{
    char duration[SRDTOOL_DURATION_MAX] = "-";
    const char *gid                     = get(line->row, "gid");
    size_t length                       = strlen(gid);
    char to[128], pending[16];

    if (!line->ready && line->since > 0) {
        srdtool_time_duration(line->since, duration);
    }
    /* the end of the address is what tells hosts apart */
    snprintf(to, sizeof(to), "%s/%s", gid + (length > 9 ? length - 9 : 0),
             get(line->row, "qpn"));
    printf("%7s %-9.9s %-11.11s %5.5s %-14.14s %-17s %6.6s %4.4s\n",
           get(line->row, "pid"), get(line->row, "comm"),
           get(line->row, "link"), get(line->row, "ep"), to,
           get(line->row, "why"), duration,
           short_number(json_object_get_uint64(
                                json_object_object_get(line->row, "pending")),
                        pending));
}

/* Lines that the terminal has; 0: no terminal */
static unsigned get_screen(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return (size.ws_row < 10) ? 24 : size.ws_row;
}

static void print_text(const srdtool_snapshots_t *before,
                       const srdtool_snapshots_t *snapshots,
                       const lines_t *lines)
{
    unsigned screen = get_screen();
    unsigned left   = (screen > 0) ? screen - 5 : UINT32_MAX;
    unsigned links  = 0;
    const srdtool_snapshot_t *same;
    const stats_segment_t *segment;
    char clock[SRDTOOL_WALL_MAX];
    time_t now = time(NULL);
    struct tm tm;
    unsigned i, k;

    if (localtime_r(&now, &tm) == NULL ||
        strftime(clock, sizeof(clock), "%T", &tm) == 0) {
        clock[0] = '\0';
    }
    for (i = 0; i < snapshots->num; ++i) {
        links += snapshots->list[i].segment.num_ifaces;
    }

    /* home, and clear what is below */
    printf("%ssrdtool top %s  %u processes, %u links, %u endpoints, %u do not "
           "move\n\n",
           (screen > 0) ? "\033[H\033[J" : "", clock, snapshots->num, links,
           lines->num, lines->waiting);

    printf("%7s %-9s %-11s %-10s %6s %6s %6s %6s %5s\n", "PID", "COMM", "LINK",
           "STATE", "TX/s", "TXB/s", "RX/s", "RXB/s", "EPS");
    for (i = 0; i < snapshots->num; ++i) {
        segment = &snapshots->list[i].segment;
        same    = (before != NULL) ? srdtool_snapshots_same(before, segment) :
                                     NULL;
        for (k = 0; k < segment->num_ifaces; ++k) {
            /* half of the screen is for endpoints */
            if (screen > 0 && left <= screen / 2) {
                break;
            }
            --left;
            print_link(segment, (same != NULL) ? &same->segment : NULL,
                       &segment->ifaces[k]);
        }
    }

    printf("\n%7s %-9s %-11s %5s %-14s %-17s %6s %4s\n", "PID", "COMM", "LINK",
           "EP", "TO", "WHY", "FOR", "PEND");
    for (i = 0; i < lines->num && left > 0; ++i, --left) {
        print_line(&lines->list[i]);
    }
    if (screen == 0) {
        printf("\n");
    }
}

static void print_json(const srdtool_t *tool, const lines_t *lines)
{
    struct json_object *array = json_object_new_array();
    unsigned i;

    for (i = 0; i < lines->num; ++i) {
        json_object_array_add(array, json_object_get(lines->list[i].row));
    }
    srdtool_print_json(&tool->out, array);
}

/* ----------------------------------------------------------------- command */

static int run(srdtool_t *tool, int num_words, char **words)
{
    unsigned interval = (tool->interval_ms > 0) ? tool->interval_ms :
                                                  INTERVAL_MS;
    unsigned round    = 0;
    int status        = SRDTOOL_SHOWN;
    bool watched;
    srdtool_snapshots_t before, snapshots;
    srdtool_filter_t filter;
    lines_t lines;

    if (srdtool_filter_parse(&srdtool_top, srdtool_ep_keys, num_words, words,
                             &filter) != 0) {
        return SRDTOOL_USAGE;
    }

    srdtool_snapshots_read(tool, &before);
    if (before.num == 0) {
        status = srdtool_snapshots_status(tool, &before, 0);
        srdtool_snapshots_free(&before);
        return status;
    }

    /* A first look that need not be waited for long */
    watched = srdtool_time_pause((interval > 100) ? 100 : interval);
    while (watched && ferror(stdout) == 0) {
        srdtool_snapshots_read(tool, &snapshots);
        srdtool_snapshots_compare(&before, &snapshots);
        get_lines(&snapshots, &filter, &lines);
        if (tool->out.json) {
            print_json(tool, &lines);
        } else {
            print_text(&before, &snapshots, &lines);
        }
        fflush(stdout);
        free_lines(&lines);
        srdtool_snapshots_free(&before);
        before = snapshots;
        if (tool->count > 0 && ++round == tool->count) {
            break;
        }
        watched = srdtool_time_pause(interval);
    }
    srdtool_snapshots_free(&before);
    return status;
}

const srdtool_object_t srdtool_top = {
    .name  = "top",
    .text  = "what moves and what does not, again and again",
    .usage =
        "       srdtool top [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, as in: pid 0-100,654 why rnr-backoff\n"
        "Links with their rates, then endpoints, those first that do not\n"
        "move. --count N: N times; --interval S: every S seconds. Not on a\n"
        "terminal: a block of text each time; with -j an array of endpoints.\n",
    .run   = run
};
