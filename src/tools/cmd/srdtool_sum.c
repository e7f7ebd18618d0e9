/*
 * srdtool stat show sum: did the data go over srd? One line for all interfaces
 * that pass the filter, whatever their processes, devices and fabrics are:
 *
 *   srd carried 24.0 MB: 2000 messages of 16.0 MB sent, 2000 of 16.0 MB
 *   received, 8.0 MB read and 0 B written by RDMA; 2 processes, 2 interfaces
 *
 * What is sent is also received, here or on another host: "carried" is what was
 * sent, read and written from here.
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>

static const char *const keys[] = {"dev", "link", "gid", "qpn", "pid", "comm",
                                   "gone", "stopped", NULL};

typedef struct {
    unsigned          num_processes;
    unsigned          num_ifaces;
    efa_stats_iface_t counters; /* of which the counters below are used */
} sum_t;

static bool passes(const stats_segment_t *segment,
                   const efa_stats_iface_t *iface,
                   const srdtool_filter_t *filter)
{
    const efa_stats_device_t *device = stats_link_device(segment,
                                                         iface->device);
    struct json_object *row          = srdtool_row_new(segment);
    bool is_passed;

    srdtool_row_string(row, "dev", (device == NULL) ? NULL : device->name);
    srdtool_row_link(row, segment, iface->index);
    srdtool_row_gid(row, iface->gid);
    srdtool_row_uint(row, "qpn", iface->qpn);
    is_passed = srdtool_filter_match(filter, row);
    json_object_put(row);
    return is_passed;
}

static void add_segment(const stats_segment_t *segment,
                        const srdtool_filter_t *filter, sum_t *sum)
{
    efa_stats_iface_t *total = &sum->counters;
    unsigned before          = sum->num_ifaces;
    const efa_stats_iface_t *iface;
    unsigned i;

    for (i = 0; i < segment->num_ifaces; ++i) {
        iface = &segment->ifaces[i];
        if (!passes(segment, iface, filter)) {
            continue;
        }
        ++sum->num_ifaces;
        total->tx_msgs += iface->tx_msgs;
        total->tx_bytes += iface->tx_bytes;
        total->rx_msgs += iface->rx_msgs;
        total->rx_bytes += iface->rx_bytes;
        total->rdma_read_bytes += iface->rdma_read_bytes;
        total->rdma_write_bytes += iface->rdma_write_bytes;
    }

    sum->num_processes += sum->num_ifaces > before;
}

/* "16.0 MB" */
static const char *bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value                     = bytes;
    int unit                         = -1;

    while (value >= 999.95) {
        value /= 1000;
        ++unit;
    }
    if (unit < 0) {
        snprintf(text, 32, "%" PRIu64 " B", bytes);
    } else {
        snprintf(text, 32, "%.1f %s", value, units[unit]);
    }
    return text;
}

static uint64_t carried(const sum_t *sum)
{
    return sum->counters.tx_bytes + sum->counters.rdma_read_bytes +
           sum->counters.rdma_write_bytes;
}

static void print_text(const sum_t *sum)
{
    const efa_stats_iface_t *total = &sum->counters;
    char all[32], sent[32], received[32], was_read[32], written[32];

    if ((total->tx_msgs == 0) && (total->rx_msgs == 0) && (carried(sum) == 0)) {
        printf("srd carried nothing");
    } else {
        printf("srd carried %s: %" PRIu64 " messages of %s sent, %" PRIu64
               " of %s received, %s read and %s written by RDMA",
               bytes_text(carried(sum), all), total->tx_msgs,
               bytes_text(total->tx_bytes, sent), total->rx_msgs,
               bytes_text(total->rx_bytes, received),
               bytes_text(total->rdma_read_bytes, was_read),
               bytes_text(total->rdma_write_bytes, written));
    }
    printf("; %u process%s, %u interface%s\n", sum->num_processes,
           (sum->num_processes == 1) ? "" : "es", sum->num_ifaces,
           (sum->num_ifaces == 1) ? "" : "s");
}

static void print_json(const srdtool_output_t *out, const sum_t *sum)
{
    const efa_stats_iface_t *total = &sum->counters;
    struct json_object *document   = json_object_new_object();
    struct json_object *row        = srdtool_row_new(NULL);

    srdtool_row_uint(row, "processes", sum->num_processes);
    srdtool_row_uint(row, "ifaces", sum->num_ifaces);
    srdtool_row_uint(row, "carried_bytes", carried(sum));
    srdtool_row_uint(row, "tx_msgs", total->tx_msgs);
    srdtool_row_uint(row, "tx_bytes", total->tx_bytes);
    srdtool_row_uint(row, "rx_msgs", total->rx_msgs);
    srdtool_row_uint(row, "rx_bytes", total->rx_bytes);
    srdtool_row_uint(row, "rdma_read_bytes", total->rdma_read_bytes);
    srdtool_row_uint(row, "rdma_write_bytes", total->rdma_write_bytes);
    json_object_object_add(document, "sum", row);
    srdtool_print_json(out, document);
}

int srdtool_sum_show(const srdtool_object_t *object, srdtool_t *tool,
                     int num_words, char **words)
{
    sum_t sum = {0};
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    unsigned i;
    int status;

    if (srdtool_filter_parse(object, keys, num_words, words, &filter) != 0) {
        return SRDTOOL_USAGE;
    }

    srdtool_snapshots_load(tool, false, &snapshots);
    for (i = 0; i < snapshots.num; ++i) {
        add_segment(&snapshots.list[i].segment, &filter, &sum);
    }
    if (tool->out.json) {
        print_json(&tool->out, &sum);
    } else if (sum.num_ifaces > 0) {
        print_text(&sum);
    }

    status = srdtool_snapshots_status(tool, &snapshots, sum.num_ifaces);
    srdtool_snapshots_free(&snapshots);
    return status;
}
