/*
 * srdtool stat: what has been counted since it was made.
 *
 *   stat                        interfaces and devices, a counter a line; peers
 *   stat show iface|peer|device one of them
 *   stat show nic               srdtool_nic.c
 *   stat show sum               srdtool_sum.c
 *
 * Text leaves counters out that are 0, unless with -d. JSON has all, in
 * {"ifaces": [...], "peers": [...], "devices": [...]}.
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>

typedef struct {
    efa_stats_type_t type;
    const char       *command;
    const char       *array;
    const char        *(*name)(unsigned index);
    const char        *(*text)(unsigned index);
} kind_t;

static const kind_t kinds[] = {
    {EFA_STATS_DEVICE, "device", "devices", stats_name_device_counter,
     stats_name_device_counter_text},
    {EFA_STATS_IFACE, "iface", "ifaces", stats_name_iface_counter,
     stats_name_iface_counter_text},
    {EFA_STATS_PEER, "peer", "peers", stats_name_peer_counter,
     stats_name_peer_counter_text}
};

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const keys[] = {
    "dev", "gid", "qpn", "others", "link", "iface", "state", "pid", "comm",
    "gone", "stopped", NULL
};

static struct json_object *row_of(const stats_segment_t *segment,
                                  const kind_t *kind,
                                  const stats_entry_t *entry)
{
    struct json_object *row = srdtool_row_new(segment);

    if (kind->type == EFA_STATS_DEVICE) {
        srdtool_row_string(row, "dev", entry->name);
        return row;
    }

    srdtool_row_gid(row, entry->gid);
    srdtool_row_uint(row, "qpn", entry->qpn);
    srdtool_row_bool(row, "others", entry->overflow);
    srdtool_row_link(row, segment, entry->index);
    srdtool_row_string(row, "state", entry->overflow ? NULL : entry->state);
    return row;
}

static void add_counters(struct json_object *row, const kind_t *kind,
                         const stats_entry_t *entry)
{
    struct json_object *counters = json_object_new_object();
    unsigned i;

    for (i = 0; i < entry->num_counters; ++i) {
        srdtool_row_uint(counters, kind->name(i), entry->counters[i]);
    }
    json_object_object_add(row, "counters", counters);
}

/* Thousands of peers: on one line what is not 0, else a line a counter */
static void print_counters(const srdtool_output_t *out, const kind_t *kind,
                           const stats_entry_t *entry)
{
    bool one_line = kind->type == EFA_STATS_PEER && !out->details;
    unsigned i;

    for (i = 0; i < entry->num_counters; ++i) {
        if (entry->counters[i] == 0 && !out->details) {
            continue;
        }
        if (one_line) {
            printf(" %s %" PRIu64, kind->name(i), entry->counters[i]);
        } else {
            printf("\n    %-16s %14" PRIu64 "  %s", kind->name(i),
                   entry->counters[i], kind->text(i));
        }
    }
    printf("\n");
}

static size_t show_kind(const srdtool_t *tool, const stats_segment_t *segment,
                        const kind_t *kind, const srdtool_filter_t *filter,
                        struct json_object *array)
{
    size_t pos = 0, num = 0;
    struct json_object *row;
    stats_entry_t entry;

    while (stats_entry_next(segment, kind->type, &pos, &entry)) {
        row = row_of(segment, kind, &entry);
        if (!srdtool_filter_match(filter, row)) {
            json_object_put(row);
            continue;
        }
        ++num;
        if (array == NULL) {
            srdtool_print_row(&tool->out, keys, row);
            print_counters(&tool->out, kind, &entry);
            json_object_put(row);
        } else {
            add_counters(row, kind, &entry);
            json_object_array_add(array, row);
        }
    }
    return num;
}

static int run(srdtool_t *tool, int num_words, char **words)
{
    static const char *const commands[] = {"show", NULL};
    static const char *const types[]    = {"device", "iface", "peer",
                                           "nic",    "sum",   NULL};
    struct json_object *document        = NULL;
    struct json_object *array           = NULL;
    size_t shown                        = 0;
    int type                            = -1;
    srdtool_snapshots_t snapshots;
    srdtool_filter_t filter;
    unsigned i, k;
    int status;

    if (num_words > 0) {
        if (srdtool_word_command(&srdtool_stat, words[0], commands) < 0) {
            return SRDTOOL_USAGE;
        }
        --num_words;
        ++words;
    }
    if (num_words > 0) {
        /* else a filter of all */
        type = srdtool_word_find(words[0], types);
        if (type >= 0) {
            --num_words;
            ++words;
        }
    }
    if (type == (int)NUM_KINDS) {
        return srdtool_nic_show(&srdtool_stat, tool, num_words, words);
    }
    if (type == (int)NUM_KINDS + 1) {
        return srdtool_sum_show(&srdtool_stat, tool, num_words, words);
    }
    if (srdtool_filter_parse(&srdtool_stat, keys, num_words, words, &filter) !=
        0) {
        return SRDTOOL_USAGE;
    }

    srdtool_snapshots_load(tool, false, &snapshots);
    if (tool->out.json) {
        document = json_object_new_object();
    }
    for (k = 0; k < NUM_KINDS; ++k) {
        if (type >= 0 && k != (unsigned)type) {
            continue;
        }
        if (document != NULL) {
            array = json_object_new_array();
            json_object_object_add(document, kinds[k].array, array);
        }
        for (i = 0; i < snapshots.num; ++i) {
            shown += show_kind(tool, &snapshots.list[i].segment, &kinds[k],
                               &filter, array);
        }
    }
    if (document != NULL) {
        srdtool_print_json(&tool->out, document);
    }

    status = srdtool_snapshots_status(tool, &snapshots, shown);
    srdtool_snapshots_free(&snapshots);
    return status;
}

const srdtool_object_t srdtool_stat = {
    .name  = "stat",
    .text  = "counters of interfaces, peers and devices, and of the NIC",
    .usage =
        "       srdtool stat [show [FILTER ...]]\n"
        "       srdtool stat show { iface | peer | device } [FILTER ...]\n"
        "       srdtool stat show nic [dev LIST]\n"
        "       srdtool stat show sum [FILTER ...]\n"
        "\n"
        "FILTER: KEY LIST, as in: pid 0-100,654 qpn 12 link efa_0:1\n"
        "What has been counted since each was made; text leaves out what is\n"
        "0, unless with -d.\n"
        "sum: one line, what srd carried in all, for 'did it go over srd?'.\n"
        "nic: the device's own counters, of all programs together, beside\n"
        "the sum of ours, and what moved in the time of --interval. flag:\n"
        "  error      the NIC has counted trouble: drops, timeouts, refusals\n"
        "  nic-only   the NIC moves, what we count does not\n"
        "  ours-only  what we count moves, the NIC does not\n"
        "  ours-more  we had counted more than the NIC has by now\n",
    .run   = run
};
