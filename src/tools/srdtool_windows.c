/*
 * The windows that a command looks at:
 *
 *   --file F              that one, whoever's
 *   --pid N               those of process N       living, or with
 *   (nothing)             those of this user       --dead the dead ones
 *
 * One that was not named and cannot be read, as that of another version, is said
 * and passed over: what was asked for may be in the others.
 *
 * and whether an interface polls: its window is read twice.
 */
#include "srdtool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whoever calls progress does so more often than this */
#define POLLS_MS 100

typedef struct {
    const srdtool_t   *tool;
    srdtool_windows_t *windows;
} load_t;

static void load_one(const char *path, void *arg)
{
    load_t *load               = arg;
    srdtool_windows_t *windows = load->windows;
    const srdtool_t *tool      = load->tool;
    char error[PATH_MAX + 128];
    srdtool_window_t *list, *w;
    unsigned room;

    if (windows->num == windows->room) {
        room = (windows->room == 0) ? 16 : windows->room * 2;
        list = realloc(windows->list, room * sizeof(*list));
        if (list == NULL) {
            fprintf(stderr, "srdtool: no memory for %s\n", path);
            ++windows->failed;
            return;
        }
        windows->list = list;
        windows->room = room;
    }

    w = &windows->list[windows->num];
    if (window_read(path, &w->window, error, sizeof(error)) != 0) {
        if ((errno == ENOENT || errno == ENODATA) && tool->file == NULL) {
            return; /* its process ended, or begins, just now */
        }
        fprintf(stderr, "srdtool: %s\n", error);
        ++*((tool->file == NULL && tool->pid == 0) ? &windows->unread :
                                                     &windows->failed);
        return;
    }

    if (tool->file == NULL && w->window.alive == tool->dead) {
        window_free(&w->window);
        ++windows->left;
        return;
    }

    w->idle = NULL;
    ++windows->num;
}

void srdtool_windows_read(const srdtool_t *tool, srdtool_windows_t *windows)
{
    load_t load = {tool, windows};

    memset(windows, 0, sizeof(*windows));
    if (tool->file != NULL) {
        load_one(tool->file, &load);
    } else {
        window_find(tool->pid, load_one, &load);
    }
}

const srdtool_window_t *srdtool_windows_same(const srdtool_windows_t *windows,
                                             const window_t *window)
{
    const window_t *other;
    unsigned i;

    for (i = 0; i < windows->num; ++i) {
        other = &windows->list[i].window;
        if (other->header.pid == window->header.pid &&
            other->header.start_time == window->header.start_time &&
            strcmp(other->path, window->path) == 0) {
            return &windows->list[i];
        }
    }
    return NULL;
}

void srdtool_windows_compare(const srdtool_windows_t *before,
                             srdtool_windows_t *windows)
{
    const efa_window_iface_t *iface, *old;
    const srdtool_window_t *same;
    srdtool_window_t *w;
    unsigned i, k;

    for (i = 0; before != NULL && i < windows->num; ++i) {
        w    = &windows->list[i];
        same = w->window.alive ? srdtool_windows_same(before, &w->window) :
                                 NULL;
        if (same == NULL || w->window.num_ifaces == 0) {
            continue;
        }
        w->idle = calloc(w->window.num_ifaces, sizeof(*w->idle));
        for (k = 0; w->idle != NULL && k < w->window.num_ifaces; ++k) {
            iface      = &w->window.ifaces[k];
            old        = window_iface(&same->window, iface->index);
            w->idle[k] = old != NULL &&
                         old->create_time == iface->create_time &&
                         old->polls == iface->polls;
        }
    }
}

void srdtool_windows_load(const srdtool_t *tool, bool twice,
                          srdtool_windows_t *windows)
{
    struct timespec pause = {0, POLLS_MS * 1000000};
    srdtool_windows_t before;
    bool living = false;
    unsigned i;

    srdtool_windows_read(tool, windows);
    for (i = 0; i < windows->num; ++i) {
        living |= windows->list[i].window.alive;
    }
    if (!twice || !living || windows->failed > 0) {
        return;
    }

    before = *windows;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
    srdtool_windows_read(tool, windows);
    srdtool_windows_compare(&before, windows);
    srdtool_windows_free(&before);
}

void srdtool_windows_free(srdtool_windows_t *windows)
{
    unsigned i;

    for (i = 0; i < windows->num; ++i) {
        window_free(&windows->list[i].window);
        free(windows->list[i].idle);
    }
    free(windows->list);
    memset(windows, 0, sizeof(*windows));
}

int srdtool_windows_status(const srdtool_t *tool,
                           const srdtool_windows_t *windows, size_t shown)
{
    uint32_t uid;

    if (windows->failed > 0) {
        return SRDTOOL_NOTHING;
    }
    if (shown > 0) {
        return SRDTOOL_SHOWN;
    }
    if (windows->num > 0) {
        fprintf(stderr, "srdtool: nothing like that in the windows of %u "
                "processes\n", windows->num);
        return SRDTOOL_NOTHING;
    }
    if (windows->unread > 0) {
        return SRDTOOL_NOTHING;
    }

    if (windows->left > 0) {
        fprintf(stderr, tool->dead ?
                "srdtool: no window of a process that is gone, but %u of "
                "running ones: leave --dead out\n" :
                "srdtool: no window of a running process, but %u of processes "
                "that are gone: see them with --dead\n", windows->left);
    } else if (tool->pid != 0 && window_find_foreign(tool->pid, &uid)) {
        fprintf(stderr, "srdtool: process %" PRIu32 " belongs to uid %" PRIu32
                ": run srdtool as that user\n", tool->pid, uid);
    } else if (tool->dead) {
        fprintf(stderr, "srdtool: no window of a process that is gone: one is "
                "left by a process that was killed, until the next one starts, "
                "or with UCX_EFA_WINDOW=keep\n");
    } else if (tool->pid != 0) {
        fprintf(stderr, "srdtool: no window found: process %" PRIu32 " does "
                "not run on the srd transport, or UCX_EFA_WINDOW=n is set\n",
                tool->pid);
    } else {
        fprintf(stderr, "srdtool: no window found: no process of this user "
                "runs on the srd transport now, or UCX_EFA_WINDOW=n is set\n");
    }
    return SRDTOOL_NOTHING;
}
