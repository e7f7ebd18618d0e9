/*
 * srdtool res: what programs hold.
 *
 *   res                       a row for each process and device: what is held
 *                             of the device's limits
 *   res show pd|cq|qp|mr|ah   a row an object      <- OBJECT records
 *   res show ep|peer          srdtool_ep.c
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* size and size2 of an OBJECT by kind, as efa_stats_format.h says */
static const struct {
    const char *number;
    const char *size;
    const char *size2;
} kinds[EFA_STATS_KIND_LAST] = {
    [EFA_STATS_PD] = {"pdn", NULL, NULL},
    [EFA_STATS_CQ] = {"cqn", "cqe", NULL},
    [EFA_STATS_QP] = {"qpn", "sq", "rq"},
    [EFA_STATS_MR] = {"mrn", "bytes", "address"},
    [EFA_STATS_AH] = {"ahn", "refs", NULL}
};

#define OBJECT_KEYS(...) \
    {__VA_ARGS__, "pid", "comm", "gone", "+stopped", "dev", "link", "+iface", \
     "age_ns", "site", NULL}

static const char *const object_keys[EFA_STATS_KIND_LAST][16] = {
    [EFA_STATS_PD] = OBJECT_KEYS("pdn"),
    [EFA_STATS_CQ] = OBJECT_KEYS("cqn", "cqe"),
    [EFA_STATS_QP] = OBJECT_KEYS("qpn", "sq", "rq"),
    [EFA_STATS_MR] = OBJECT_KEYS("mrn", "bytes", "address"),
    [EFA_STATS_AH] = OBJECT_KEYS("ahn", "gid", "refs")
};

static const char *const summary_keys[] = {
    "pid", "comm", "gone", "stopped", "dev", "pd", "cq", "qp", "mr", "ah",
    "+mr_bytes", "eps", "peers", "refused", "leaked",
    "+hidden", NULL
};

static struct json_object *object_row(const stats_segment_t *segment,
                                      const efa_stats_object_t *object)
{
    struct json_object *row = srdtool_row_new(segment);
    uint32_t kind           = object->kind;
    const efa_stats_device_t *device;
    char address[32];

    srdtool_row_uint(row, kinds[kind].number, object->number);
    if (kind == EFA_STATS_AH) {
        srdtool_row_gid(row, object->gid);
    }
    if (kinds[kind].size != NULL) {
        srdtool_row_uint(row, kinds[kind].size, object->size);
    }
    if (kind == EFA_STATS_MR) {
        snprintf(address, sizeof(address), "0x%" PRIx64, object->size2);
        srdtool_row_string(row, kinds[kind].size2, address);
    } else if (kinds[kind].size2 != NULL) {
        srdtool_row_uint(row, kinds[kind].size2, object->size2);
    }
    device = stats_link_device(segment, object->device);
    srdtool_row_string(row, "dev", (device != NULL) ? device->name : NULL);
    srdtool_row_link(row, segment, object->iface);
    srdtool_row_age(row, "age_ns", segment, object->create_time);
    srdtool_row_string(row, "site",
                       (object->site[0] != '\0') ? object->site : NULL);
    return row;
}

static int show_objects(srdtool_t *tool, uint32_t kind, int num_words,
                        char **words)
{
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    const stats_segment_t *segment;
    srdtool_list_t list;
    unsigned i, k;
    int status;

    status = srdtool_filter_parse(&srdtool_res, object_keys[kind], num_words,
                                  words, &filter);
    if (status != 0) {
        return status;
    }

    srdtool_snapshots_load(tool, false, &snapshots);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < snapshots.num; ++i) {
        segment = &snapshots.list[i].segment;
        for (k = 0; k < segment->num_objects; ++k) {
            if (segment->objects[k].kind == kind) {
                srdtool_list_add(&list, &filter, object_keys[kind],
                                 object_row(segment, &segment->objects[k]));
            }
        }
    }

    status = srdtool_snapshots_status(tool, &snapshots,
                                      srdtool_list_finish(&list));
    srdtool_snapshots_free(&snapshots);
    return status;
}

/* ----------------------------------------------------------------- summary */

/* Endpoints and peers of a device's interfaces */
typedef struct {
    uint64_t eps;
    uint64_t peers;
} users_t;

/* NULL: the interface is of no device that we see */
static users_t *get_users(const stats_segment_t *segment, users_t *users,
                          uint32_t iface_index)
{
    const efa_stats_iface_t *iface   = stats_link_iface(segment, iface_index);
    const efa_stats_device_t *device = NULL;

    if (iface != NULL) {
        device = stats_link_device(segment, iface->device);
    }
    return (device == NULL) ? NULL : &users[device - segment->devices];
}

static void count_users(const stats_segment_t *segment, users_t *users)
{
    users_t *of;
    unsigned i;

    for (i = 0; i < segment->num_eps; ++i) {
        of = get_users(segment, users, segment->eps[i].iface);
        if (of != NULL) {
            ++of->eps;
        }
    }
    for (i = 0; i < segment->num_peers; ++i) {
        of = get_users(segment, users, segment->peers[i].iface);
        if (of != NULL) {
            ++of->peers;
        }
    }
}

static struct json_object *summary_row(const stats_segment_t *segment,
                                       const efa_stats_device_t *device,
                                       const users_t *users)
{
    struct json_object *row = srdtool_row_new(segment);

    srdtool_row_string(row, "dev", device->name);
    srdtool_row_device(row, device);
    srdtool_row_uint(row, "eps", users->eps);
    srdtool_row_uint(row, "peers", users->peers);
    srdtool_row_uint(row, "hidden", segment->header.hidden);
    return row;
}

static void summarize(const stats_segment_t *segment, srdtool_list_t *list)
{
    users_t *users;
    unsigned i;

    users = calloc(segment->num_devices + 1, sizeof(*users));
    if (users == NULL) {
        return;
    }
    count_users(segment, users);
    for (i = 0; i < segment->num_devices; ++i) {
        srdtool_list_add(list, NULL, summary_keys,
                         summary_row(segment, &segment->devices[i], &users[i]));
    }
    free(users);
}

static int show_summary(srdtool_t *tool)
{
    srdtool_snapshots_t snapshots;
    srdtool_list_t list;
    unsigned i;
    int status;

    srdtool_snapshots_load(tool, false, &snapshots);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < snapshots.num; ++i) {
        summarize(&snapshots.list[i].segment, &list);
        if (snapshots.list[i].segment.header.hidden != 0) {
            fprintf(stderr,
                    "srdtool: process %" PRIu32 ": %" PRIu32 " things "
                    "found no room in its segment\n",
                    snapshots.list[i].segment.header.pid,
                    snapshots.list[i].segment.header.hidden);
        }
    }

    status = srdtool_snapshots_status(tool, &snapshots,
                                      srdtool_list_finish(&list));
    srdtool_snapshots_free(&snapshots);
    return status;
}

/* ----------------------------------------------------------------- command */

static int run(srdtool_t *tool, int num_words, char **words)
{
    static const char *const commands[] = {"show", NULL};
    /* the first ones in the order of efa_stats_kind_t */
    static const char *const types[]    = {"pd", "cq", "qp",   "mr",
                                           "ah", "ep", "peer", NULL};
    int type;

    if (num_words > 0 &&
        srdtool_word_command(&srdtool_res, words[0], commands) < 0) {
        return SRDTOOL_USAGE;
    }
    if (num_words < 2) {
        return show_summary(tool);
    }

    type = srdtool_word_command(&srdtool_res, words[1], types);
    if (type < 0) {
        return SRDTOOL_USAGE;
    }
    if (type < EFA_STATS_KIND_LAST) {
        return show_objects(tool, (uint32_t)type, num_words - 2, words + 2);
    }
    return srdtool_ep_show(&srdtool_res, tool, type > EFA_STATS_KIND_LAST,
                           num_words - 2, words + 2);
}

static void usage_end(FILE *out)
{
    unsigned why;

    for (why = 0; why < WHY_LAST; ++why) {
        fprintf(out, "  %-18s  %s\n", why_name(why), why_text(why));
    }
}

const srdtool_object_t srdtool_res = {
    .name      = "res",
    .text      = "what programs hold, endpoints and peers, and why they wait",
    .usage     =
        "       srdtool res [show]\n"
        "       srdtool res show { qp | cq | mr | pd | ah } [FILTER ...]\n"
        "       srdtool res show { ep | peer } [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, a key of the row and values or ranges that pass:\n"
        "pid 0-100,654   qpn 12   state joined   why rnr-backoff   dev efa_0\n"
        "\n"
        "Alone: what each process holds of each device's limits.\n"
        "ep, peer: why it does not move, in one word, and for how long:\n",
    .usage_end = usage_end,
    .run       = run
};
