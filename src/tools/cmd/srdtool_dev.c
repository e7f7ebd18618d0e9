/*
 * srdtool dev, srdtool link.
 *
 *   dev    a row a device of the machine (sysfs) or of a segment: what all
 *          processes hold of its limits, together
 *   link   a row an interface of a process: its end of the traffic
 */
#include "tools/host/efa_sysfs.h"
#include "tools/cmd/srdtool.h"

#include <string.h>

#define DEVICES_MAX 64

static const char *const dev_keys[] = {
    "dev", "processes", "links", "pd", "cq", "qp", "mr", "ah", "+mr_bytes",
    "refused", "leaked", "generation", "+present", NULL
};

static const char *const link_keys[] = {
    "link", "pid", "comm", "gone", "stopped", "iface", "+gid", "qpn", "state",
    "state_ns", "why", "why_ns", "asleep", "data_path", "eps", "peers",
    "+tx_queue", "+polls", "+progress_ns", "+age_ns", NULL
};

typedef struct {
    char               name[EFA_STATS_NAME_MAX];
    bool               present;     /* in sysfs */
    uint64_t           processes, links, generation;
    efa_stats_device_t sum;
} device_t;

typedef struct {
    device_t list[DEVICES_MAX];
    unsigned num;
} devices_t;

/* NULL: more than anybody has */
static device_t *get_device(devices_t *devices, const char *name)
{
    device_t *device;
    unsigned i;

    for (i = 0; i < devices->num; ++i) {
        if (strcmp(devices->list[i].name, name) == 0) {
            return &devices->list[i];
        }
    }
    if (devices->num == DEVICES_MAX || strlen(name) >= sizeof(device->name)) {
        return NULL;
    }
    device = &devices->list[devices->num++];
    memset(device, 0, sizeof(*device));
    strcpy(device->name, name);
    return device;
}

static void add_present(devices_t *devices)
{
    char names[EFA_SYSFS_MAX][EFA_SYSFS_NAME];
    unsigned num = efa_sysfs_list(names);
    device_t *device;
    unsigned i;

    for (i = 0; i < num; ++i) {
        device = get_device(devices, names[i]);
        if (device != NULL) {
            device->present = true;
        }
    }
}

#define MAX_OF(_field) \
    if (in->_field > sum->_field) { \
        sum->_field = in->_field; \
    }

static void add_segment(devices_t *devices, const stats_segment_t *segment)
{
    const efa_stats_device_t *in;
    efa_stats_device_t *sum;
    device_t *device;
    unsigned i;

    for (i = 0; i < segment->num_devices; ++i) {
        in     = &segment->devices[i];
        device = get_device(devices, in->name);
        if (device == NULL) {
            continue;
        }
        sum = &device->sum;
        sum->pd += in->pd;
        sum->cq += in->cq;
        sum->qp += in->qp;
        sum->mr += in->mr;
        sum->ah += in->ah;
        sum->mr_bytes += in->mr_bytes;
        sum->refused += in->refused;
        sum->leaked += in->leaked;
        MAX_OF(pd_max)
        MAX_OF(cq_max)
        MAX_OF(qp_max)
        MAX_OF(mr_max)
        MAX_OF(ah_max)
        MAX_OF(generation)
        ++device->processes;
    }

    for (i = 0; i < segment->num_ifaces; ++i) {
        in     = stats_link_device(segment, segment->ifaces[i].device);
        device = (in != NULL) ? get_device(devices, in->name) : NULL;
        if (device != NULL) {
            ++device->links;
        }
    }
}

static struct json_object *dev_row(const device_t *device)
{
    struct json_object *row = srdtool_row_new(NULL);

    srdtool_row_string(row, "dev", device->name);
    srdtool_row_uint(row, "processes", device->processes);
    srdtool_row_uint(row, "links", device->links);
    srdtool_row_device(row, &device->sum);
    srdtool_row_uint(row, "generation", device->sum.generation);
    srdtool_row_bool(row, "present", device->present);
    return row;
}

/* The words behind [show]; -1 after the usage was printed */
static int skip_show(const srdtool_object_t *object, int *num_words,
                     char ***words)
{
    static const char *const commands[] = {"show", NULL};

    if (*num_words > 0) {
        if (srdtool_word_command(object, **words, commands) < 0) {
            return -1;
        }
        --*num_words;
        ++*words;
    }
    return 0;
}

static int run_dev(srdtool_t *tool, int num_words, char **words)
{
    devices_t devices = {.num = 0};
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    srdtool_list_t list;
    unsigned i;
    int status;

    if (skip_show(&srdtool_dev, &num_words, &words) != 0 ||
        srdtool_filter_parse(&srdtool_dev, dev_keys, num_words, words,
                             &filter) != 0) {
        return SRDTOOL_USAGE;
    }

    if (tool->pid == 0 && tool->file == NULL && !tool->dead) {
        add_present(&devices);
    }
    srdtool_snapshots_load(tool, false, &snapshots);
    for (i = 0; i < snapshots.num; ++i) {
        add_segment(&devices, &snapshots.list[i].segment);
    }

    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < devices.num; ++i) {
        srdtool_list_add(&list, &filter, dev_keys, dev_row(&devices.list[i]));
    }
    if (srdtool_list_finish(&list) > 0) {
        status = (snapshots.failed == 0) ? SRDTOOL_SHOWN : SRDTOOL_NOTHING;
    } else {
        status = srdtool_snapshots_status(tool, &snapshots, 0);
    }
    srdtool_snapshots_free(&snapshots);
    return status;
}

static struct json_object *link_row(const srdtool_snapshot_t *snap,
                                    unsigned index)
{
    const stats_segment_t *segment = &snap->segment;
    const efa_stats_iface_t *iface = &segment->ifaces[index];
    struct json_object *row        = srdtool_row_new(segment);
    why_input_t in                 = {.segment = segment, .iface = iface};

    in.idle = snap->idle != NULL && snap->idle[index];
    srdtool_row_string(row, "link", iface->name);
    srdtool_row_uint(row, "iface", iface->index);
    srdtool_row_gid(row, iface->gid);
    srdtool_row_uint(row, "qpn", iface->qpn);
    srdtool_row_string(row, "state", stats_name_iface_state(iface->state));
    srdtool_row_age(row, "state_ns", segment, iface->state_time);
    srdtool_row_why(row, &in);
    srdtool_row_bool(row, "asleep", iface->asleep);
    srdtool_row_string(row, "data_path",
                       stats_name_data_path(iface->data_path));
    srdtool_row_uint(row, "eps", iface->eps - iface->eps_gone);
    srdtool_row_uint(row, "peers", iface->peers - iface->peers_gone);
    srdtool_row_uint(row, "tx_queue", iface->tx_queue);
    srdtool_row_uint(row, "polls", iface->polls);
    srdtool_row_age(row, "progress_ns", segment, iface->progress_time);
    srdtool_row_age(row, "age_ns", segment, iface->create_time);
    return row;
}

static int run_link(srdtool_t *tool, int num_words, char **words)
{
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    srdtool_list_t list;
    unsigned i, k;
    int status;

    if (skip_show(&srdtool_link, &num_words, &words) != 0 ||
        srdtool_filter_parse(&srdtool_link, link_keys, num_words, words,
                             &filter) != 0) {
        return SRDTOOL_USAGE;
    }

    srdtool_snapshots_load(tool, true, &snapshots);
    srdtool_list_init(&list, &tool->out);
    for (i = 0; i < snapshots.num; ++i) {
        for (k = 0; k < snapshots.list[i].segment.num_ifaces; ++k) {
            srdtool_list_add(&list, &filter, link_keys,
                             link_row(&snapshots.list[i], k));
        }
    }

    status = srdtool_snapshots_status(tool, &snapshots,
                                      srdtool_list_finish(&list));
    srdtool_snapshots_free(&snapshots);
    return status;
}

const srdtool_object_t srdtool_dev = {
    .name  = "dev",
    .text  = "devices, and what all programs hold of their limits",
    .usage =
        "       srdtool dev [show] [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, as in: dev efa_0,efa_1\n"
        "Devices of this machine and of segments; objects held by this user's\n"
        "programs together, of what the device has.\n",
    .run   = run_dev
};

const srdtool_object_t srdtool_link = {
    .name  = "link",
    .text  = "interfaces of programs: state, queue pair, sleep",
    .usage =
        "       srdtool link [show] [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, as in: pid 0-100,654 state ready qpn 12\n",
    .run   = run_link
};
