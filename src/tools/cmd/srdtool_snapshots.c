/*
 * The stats segments that a command looks at:
 *
 *   --file F              that one, whoever's
 *   --pid N               those of process N       living, or with
 *   (nothing)             those of this user       --dead the dead ones
 *
 * One that was not named and cannot be read, as that of another version, is
 * reported and skipped: what was asked for may be in the others.
 *
 * Whether an interface calls progress takes two snapshots of its segment.
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
    const srdtool_t    *tool;
    srdtool_snapshots_t *snapshots;
} load_t;

static void load_one(const char *path, void *arg)
{
    load_t *load                   = arg;
    srdtool_snapshots_t *snapshots = load->snapshots;
    const srdtool_t *tool          = load->tool;
    char error[PATH_MAX + 128];
    srdtool_snapshot_t *list, *snap;
    unsigned room;

    if (snapshots->num == snapshots->room) {
        room = (snapshots->room == 0) ? 16 : snapshots->room * 2;
        list = realloc(snapshots->list, room * sizeof(*list));
        if (list == NULL) {
            fprintf(stderr, "srdtool: no memory for %s\n", path);
            ++snapshots->failed;
            return;
        }
        snapshots->list = list;
        snapshots->room = room;
    }

    snap = &snapshots->list[snapshots->num];
    if (stats_read(path, &snap->segment, error, sizeof(error)) != 0) {
        if ((errno == ENOENT || errno == ENODATA) && tool->file == NULL) {
            return; /* its process ended, or begins, just now */
        }
        fprintf(stderr, "srdtool: %s\n", error);
        ++*((tool->file == NULL && tool->pid == 0) ? &snapshots->unread :
                                                     &snapshots->failed);
        return;
    }

    if (tool->file == NULL && snap->segment.alive == tool->dead) {
        stats_free(&snap->segment);
        ++snapshots->left;
        return;
    }

    snap->idle = NULL;
    ++snapshots->num;
}

void srdtool_snapshots_read(const srdtool_t *tool,
                            srdtool_snapshots_t *snapshots)
{
    load_t load = {tool, snapshots};

    memset(snapshots, 0, sizeof(*snapshots));
    if (tool->file != NULL) {
        load_one(tool->file, &load);
    } else {
        stats_find(tool->pid, load_one, &load);
    }
}

const srdtool_snapshot_t *
srdtool_snapshots_same(const srdtool_snapshots_t *snapshots,
                       const stats_segment_t *segment)
{
    const stats_segment_t *other;
    unsigned i;

    for (i = 0; i < snapshots->num; ++i) {
        other = &snapshots->list[i].segment;
        if (other->header.pid == segment->header.pid &&
            other->header.start_time == segment->header.start_time &&
            strcmp(other->path, segment->path) == 0) {
            return &snapshots->list[i];
        }
    }
    return NULL;
}

void srdtool_snapshots_compare(const srdtool_snapshots_t *before,
                               srdtool_snapshots_t *snapshots)
{
    const efa_stats_iface_t *iface, *old;
    const srdtool_snapshot_t *same;
    srdtool_snapshot_t *snap;
    unsigned i, k;

    for (i = 0; before != NULL && i < snapshots->num; ++i) {
        snap = &snapshots->list[i];
        same = snap->segment.alive ?
                       srdtool_snapshots_same(before, &snap->segment) :
                       NULL;
        if (same == NULL || snap->segment.num_ifaces == 0) {
            continue;
        }
        snap->idle = calloc(snap->segment.num_ifaces, sizeof(*snap->idle));
        for (k = 0; snap->idle != NULL && k < snap->segment.num_ifaces; ++k) {
            iface         = &snap->segment.ifaces[k];
            old           = stats_link_iface(&same->segment, iface->index);
            snap->idle[k] = old != NULL &&
                            old->create_time == iface->create_time &&
                            old->polls == iface->polls;
        }
    }
}

void srdtool_snapshots_load(const srdtool_t *tool, bool twice,
                            srdtool_snapshots_t *snapshots)
{
    struct timespec pause = {0, POLLS_MS * 1000000};
    srdtool_snapshots_t before;
    bool living = false;
    unsigned i;

    srdtool_snapshots_read(tool, snapshots);
    for (i = 0; i < snapshots->num; ++i) {
        living |= snapshots->list[i].segment.alive;
    }
    if (!twice || !living || snapshots->failed > 0) {
        return;
    }

    before = *snapshots;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
    srdtool_snapshots_read(tool, snapshots);
    srdtool_snapshots_compare(&before, snapshots);
    srdtool_snapshots_free(&before);
}

void srdtool_snapshots_free(srdtool_snapshots_t *snapshots)
{
    unsigned i;

    for (i = 0; i < snapshots->num; ++i) {
        stats_free(&snapshots->list[i].segment);
        free(snapshots->list[i].idle);
    }
    free(snapshots->list);
    memset(snapshots, 0, sizeof(*snapshots));
}

int srdtool_snapshots_status(const srdtool_t *tool,
                             const srdtool_snapshots_t *snapshots, size_t shown)
{
    uint32_t uid;

    if (snapshots->failed > 0) {
        return SRDTOOL_NOTHING;
    }
    if (shown > 0) {
        return SRDTOOL_SHOWN;
    }
    if (snapshots->num > 0) {
        fprintf(stderr,
                "srdtool: nothing like that in the segments of %u "
                "processes\n",
                snapshots->num);
        return SRDTOOL_NOTHING;
    }
    if (snapshots->unread > 0) {
        return SRDTOOL_NOTHING;
    }

    if (snapshots->left > 0) {
        fprintf(stderr,
                tool->dead ? "srdtool: no segment of a process that is gone, "
                             "but %u of "
                             "running ones: leave --dead out\n" :
                             "srdtool: no segment of a running process, but %u "
                             "of processes "
                             "that are gone: see them with --dead\n",
                snapshots->left);
    } else if (tool->pid != 0 && stats_find_foreign(tool->pid, &uid)) {
        fprintf(stderr,
                "srdtool: process %" PRIu32 " belongs to uid %" PRIu32
                ": run srdtool as that user\n",
                tool->pid, uid);
    } else if (tool->dead) {
        fprintf(stderr,
                "srdtool: no segment of a process that is gone: one is "
                "left by a process that was killed, until the next one starts, "
                "or with UCX_EFA_STATS=keep\n");
    } else if (tool->pid != 0) {
        fprintf(stderr,
                "srdtool: no segment found: process %" PRIu32 " does "
                "not run on the srd transport, or UCX_EFA_STATS=n is set\n",
                tool->pid);
    } else {
        fprintf(stderr,
                "srdtool: no segment found: no process of this user "
                "runs on the srd transport now, or UCX_EFA_STATS=n is set\n");
    }
    return SRDTOOL_NOTHING;
}
