/*
 * The segments that a command looks at:
 *
 *   --file F              that one, whoever's
 *   --pid N               those of process N       living, or with
 *   (nothing)             those of this user       --dead the dead ones
 *
 * One that was not named and cannot be read, as that of another version, is said
 * and passed over: what was asked for may be in the others.
 *
 * and whether an interface polls: its segment is read twice.
 */
#include "tools/cmd/srdtool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whoever calls progress does so more often than this */
#define POLLS_MS 100

typedef struct {
    const srdtool_t   *tool;
    srdtool_segments_t *segments;
} load_t;

static void load_one(const char *path, void *arg)
{
    load_t *load               = arg;
    srdtool_segments_t *segments = load->segments;
    const srdtool_t *tool      = load->tool;
    char error[PATH_MAX + 128];
    srdtool_segment_t *list, *w;
    unsigned room;

    if (segments->num == segments->room) {
        room = (segments->room == 0) ? 16 : segments->room * 2;
        list = realloc(segments->list, room * sizeof(*list));
        if (list == NULL) {
            fprintf(stderr, "srdtool: no memory for %s\n", path);
            ++segments->failed;
            return;
        }
        segments->list = list;
        segments->room = room;
    }

    w = &segments->list[segments->num];
    if (stats_read(path, &w->segment, error, sizeof(error)) != 0) {
        if ((errno == ENOENT || errno == ENODATA) && tool->file == NULL) {
            return; /* its process ended, or begins, just now */
        }
        fprintf(stderr, "srdtool: %s\n", error);
        ++*((tool->file == NULL && tool->pid == 0) ? &segments->unread :
                                                     &segments->failed);
        return;
    }

    if (tool->file == NULL && w->segment.alive == tool->dead) {
        stats_free(&w->segment);
        ++segments->left;
        return;
    }

    w->idle = NULL;
    ++segments->num;
}

void srdtool_segments_read(const srdtool_t *tool, srdtool_segments_t *segments)
{
    load_t load = {tool, segments};

    memset(segments, 0, sizeof(*segments));
    if (tool->file != NULL) {
        load_one(tool->file, &load);
    } else {
        stats_find(tool->pid, load_one, &load);
    }
}

const srdtool_segment_t *srdtool_segments_same(const srdtool_segments_t *segments,
                                             const stats_segment_t *segment)
{
    const stats_segment_t *other;
    unsigned i;

    for (i = 0; i < segments->num; ++i) {
        other = &segments->list[i].segment;
        if (other->header.pid == segment->header.pid &&
            other->header.start_time == segment->header.start_time &&
            strcmp(other->path, segment->path) == 0) {
            return &segments->list[i];
        }
    }
    return NULL;
}

void srdtool_segments_compare(const srdtool_segments_t *before,
                             srdtool_segments_t *segments)
{
    const efa_stats_iface_t *iface, *old;
    const srdtool_segment_t *same;
    srdtool_segment_t *w;
    unsigned i, k;

    for (i = 0; before != NULL && i < segments->num; ++i) {
        w    = &segments->list[i];
        same = w->segment.alive ? srdtool_segments_same(before, &w->segment) :
                                 NULL;
        if (same == NULL || w->segment.num_ifaces == 0) {
            continue;
        }
        w->idle = calloc(w->segment.num_ifaces, sizeof(*w->idle));
        for (k = 0; w->idle != NULL && k < w->segment.num_ifaces; ++k) {
            iface      = &w->segment.ifaces[k];
            old        = stats_iface(&same->segment, iface->index);
            w->idle[k] = old != NULL &&
                         old->create_time == iface->create_time &&
                         old->polls == iface->polls;
        }
    }
}

void srdtool_segments_load(const srdtool_t *tool, bool twice,
                          srdtool_segments_t *segments)
{
    struct timespec pause = {0, POLLS_MS * 1000000};
    srdtool_segments_t before;
    bool living = false;
    unsigned i;

    srdtool_segments_read(tool, segments);
    for (i = 0; i < segments->num; ++i) {
        living |= segments->list[i].segment.alive;
    }
    if (!twice || !living || segments->failed > 0) {
        return;
    }

    before = *segments;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
    srdtool_segments_read(tool, segments);
    srdtool_segments_compare(&before, segments);
    srdtool_segments_free(&before);
}

void srdtool_segments_free(srdtool_segments_t *segments)
{
    unsigned i;

    for (i = 0; i < segments->num; ++i) {
        stats_free(&segments->list[i].segment);
        free(segments->list[i].idle);
    }
    free(segments->list);
    memset(segments, 0, sizeof(*segments));
}

int srdtool_segments_status(const srdtool_t *tool,
                           const srdtool_segments_t *segments, size_t shown)
{
    uint32_t uid;

    if (segments->failed > 0) {
        return SRDTOOL_NOTHING;
    }
    if (shown > 0) {
        return SRDTOOL_SHOWN;
    }
    if (segments->num > 0) {
        fprintf(stderr, "srdtool: nothing like that in the segments of %u "
                "processes\n", segments->num);
        return SRDTOOL_NOTHING;
    }
    if (segments->unread > 0) {
        return SRDTOOL_NOTHING;
    }

    if (segments->left > 0) {
        fprintf(stderr, tool->dead ?
                "srdtool: no segment of a process that is gone, but %u of "
                "running ones: leave --dead out\n" :
                "srdtool: no segment of a running process, but %u of processes "
                "that are gone: see them with --dead\n", segments->left);
    } else if (tool->pid != 0 && stats_find_foreign(tool->pid, &uid)) {
        fprintf(stderr, "srdtool: process %" PRIu32 " belongs to uid %" PRIu32
                ": run srdtool as that user\n", tool->pid, uid);
    } else if (tool->dead) {
        fprintf(stderr, "srdtool: no segment of a process that is gone: one is "
                "left by a process that was killed, until the next one starts, "
                "or with UCX_EFA_STATS=keep\n");
    } else if (tool->pid != 0) {
        fprintf(stderr, "srdtool: no segment found: process %" PRIu32 " does "
                "not run on the srd transport, or UCX_EFA_STATS=n is set\n",
                tool->pid);
    } else {
        fprintf(stderr, "srdtool: no segment found: no process of this user "
                "runs on the srd transport now, or UCX_EFA_STATS=n is set\n");
    }
    return SRDTOOL_NOTHING;
}
