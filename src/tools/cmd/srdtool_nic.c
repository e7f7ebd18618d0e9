/*
 * srdtool stat show nic: the NIC's counters beside ours.
 *
 *   NIC (sysfs, all programs since the driver was loaded)    ours (segments)
 *   first   --- interval --->   second               first  --->  second
 *
 *   flag        meaning
 *   error       the NIC counted trouble, ever: drops, timeouts, refusals
 *   nic-only    the NIC moved and what we count did not: other programs, or
 *               the device sends again
 *   ours-only   we count what the NIC does not see
 *   ours-more   what we had counted at the first look is more than what the NIC
 *               has at the second
 *
 * Totals of ours are less than the NIC's as soon as a program has ended, so
 * only the opposite is a flag; and what is with the device at the moment is
 * ours and not yet the NIC's.
 */
#include "tools/host/hw_counters.h"
#include "tools/cmd/srdtool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SYSFS_DIR   "/sys/class/infiniband"
#define INTERVAL_MS 100

/* What of ours stands beside a counter of the NIC; 0: nothing does */
static uint64_t get_ours(const efa_stats_iface_t *iface, const char *name)
{
    if (strcmp(name, "send_wrs") == 0) {
        return iface->tx_msgs + iface->retransmit + iface->tx_ctl;
    }
    if (strcmp(name, "recv_wrs") == 0) {
        return iface->rx_msgs + iface->rx_ctl + iface->dup + iface->drop_imm +
               iface->drop_header + iface->drop_version + iface->drop_forged +
               iface->drop_epoch + iface->drop_unknown + iface->drop_failed +
               iface->drop_nomem;
    }
    if (strcmp(name, "rdma_read_wrs") == 0) {
        return iface->rdma_read_ops;
    }
    if (strcmp(name, "rdma_read_bytes") == 0) {
        return iface->rdma_read_bytes;
    }
    if (strcmp(name, "rdma_write_wrs") == 0) {
        return iface->rdma_write_ops;
    }
    if (strcmp(name, "rdma_write_bytes") == 0) {
        return iface->rdma_write_bytes;
    }
    return 0;
}

static bool has_ours(const char *name)
{
    static const char *const names[] = {
        "send_wrs", "recv_wrs", "rdma_read_wrs", "rdma_read_bytes",
        "rdma_write_wrs", "rdma_write_bytes", NULL
    };
    unsigned i;

    for (i = 0; names[i] != NULL; ++i) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_trouble(const char *name)
{
    return strstr(name, "err") != NULL || strstr(name, "drops") != NULL ||
           strstr(name, "timeout") != NULL ||
           strstr(name, "unresponsive") != NULL ||
           strstr(name, "impaired") != NULL || strstr(name, "retrans") != NULL;
}

typedef struct {
    hw_counters_t      device;  /* of the device, then of its port */
    hw_counters_t      port;
    srdtool_snapshots_t snapshots;
    uint8_t            gid[16];
    bool               has_gid;
} look_t;

/* Of interfaces on this device: "efa_0" in "efa_0:1", and its GID, as another
 * Soft-EFA fabric has an efa_0, too */
static uint64_t sum_ours(const look_t *look, const char *device,
                         const char *name)
{
    const srdtool_snapshots_t *snapshots = &look->snapshots;
    const efa_stats_iface_t *iface;
    size_t length = strlen(device);
    uint64_t sum  = 0;
    unsigned i, k;

    for (i = 0; i < snapshots->num; ++i) {
        for (k = 0; k < snapshots->list[i].segment.num_ifaces; ++k) {
            iface = &snapshots->list[i].segment.ifaces[k];
            if (strncmp(iface->name, device, length) == 0 &&
                iface->name[length] == ':' &&
                (!look->has_gid ||
                 memcmp(iface->gid, look->gid, sizeof(look->gid)) == 0)) {
                sum += get_ours(iface, name);
            }
        }
    }
    return sum;
}

/* An errno, if the device shows no counters at all */
static int look(const srdtool_t *tool, const char *device, look_t *look)
{
    int of_device, of_port;

    memset(look, 0, sizeof(*look));
    srdtool_snapshots_read(tool, &look->snapshots);
    look->has_gid = (hw_counters_gid(device, look->gid) == 0);
    of_device     = hw_counters_read(device, 0, &look->device);
    of_port       = hw_counters_read(device, 1, &look->port);
    return (of_device != 0 && of_port != 0) ? of_port : 0;
}

static void look_away(look_t *look)
{
    hw_counters_free(&look->device);
    hw_counters_free(&look->port);
    srdtool_snapshots_free(&look->snapshots);
}

static const char *const keys[] = {
    "dev", "counter", "nic", "ours", "nic_moved", "ours_moved", "flag", NULL
};

static void add_counter(srdtool_list_t *list, const srdtool_filter_t *filter,
                        const char *device, const hw_counter_t *counter,
                        const hw_counters_t *old, const look_t *before,
                        const look_t *now)
{
    const hw_counter_t *first = hw_counters_find(old, counter->name);
    uint64_t moved = (first != NULL) ? counter->value - first->value : 0;
    struct json_object *row = srdtool_row_new(NULL);
    const char *flag        = NULL;
    uint64_t ours, ours_before;

    srdtool_row_string(row, "dev", device);
    srdtool_row_string(row, "counter", counter->name);
    srdtool_row_uint(row, "nic", counter->value);
    srdtool_row_uint(row, "nic_moved", moved);
    if (has_ours(counter->name)) {
        ours        = sum_ours(now, device, counter->name);
        ours_before = sum_ours(before, device, counter->name);
        srdtool_row_uint(row, "ours", ours);
        /* less: a program has ended meanwhile */
        srdtool_row_uint(row, "ours_moved",
                         (ours > ours_before) ? ours - ours_before : 0);
        if (ours >= ours_before && ours_before > counter->value) {
            flag = "ours-more";
        } else if (moved > 0 && ours == ours_before) {
            flag = "nic-only";
        } else if (moved == 0 && ours > ours_before) {
            flag = "ours-only";
        }
    }
    if (flag == NULL && counter->value > 0 && is_trouble(counter->name)) {
        flag = "error";
    }
    srdtool_row_string(row, "flag", flag);
    if (list->out->json || list->out->details || flag != NULL ||
        counter->value > 0) {
        srdtool_list_add(list, filter, keys, row);
    } else {
        json_object_put(row);
    }
}

/* False: it shows no counters */
static bool add_device(const srdtool_t *tool, const char *device,
                       const srdtool_filter_t *filter, srdtool_list_t *list)
{
    unsigned ms = (tool->interval_ms > 0) ? tool->interval_ms : INTERVAL_MS;
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    bool found            = false;
    look_t before, now;
    unsigned i;

    if (look(tool, device, &before) == 0) {
        while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
        }
        if (look(tool, device, &now) == 0) {
            found = true;
            for (i = 0; i < now.device.count; ++i) {
                add_counter(list, filter, device, &now.device.list[i],
                            &before.device, &before, &now);
            }
            for (i = 0; i < now.port.count; ++i) {
                add_counter(list, filter, device, &now.port.list[i],
                            &before.port, &before, &now);
            }
        }
        look_away(&now);
    }
    look_away(&before);
    return found;
}

int srdtool_nic_show(const srdtool_object_t *object, srdtool_t *tool,
                     int num_words, char **words)
{
    struct dirent **entries = NULL;
    bool found              = false;
    srdtool_filter_t filter;
    srdtool_list_t list;
    int i, num;

    if (srdtool_filter_parse(object, keys, num_words, words, &filter) != 0) {
        return SRDTOOL_USAGE;
    }

    srdtool_list_init(&list, &tool->out);
    num = scandir(SYSFS_DIR, &entries, NULL, alphasort);
    for (i = 0; i < num; ++i) {
        if (entries[i]->d_name[0] != '.') {
            found |= add_device(tool, entries[i]->d_name, &filter, &list);
        }
        free(entries[i]);
    }
    free(entries);

    if (srdtool_list_finish(&list) > 0) {
        return SRDTOOL_SHOWN;
    }
    if (found) {
        fprintf(stderr, "srdtool: no counter like that that is not 0 (all: "
                        "-d)\n");
    } else {
        fprintf(stderr,
                "srdtool: no device with counters in " SYSFS_DIR
                ": look at srdtool doctor (Soft-EFA's are seen below efarun "
                "--soft)\n");
    }
    return SRDTOOL_NOTHING;
}
