/*
 * Rows: one thing that is shown, as a JSON object. See srdtool.h.
 */
#include "tools/cmd/srdtool.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* json-c may lack memory: what is then missing is null */
static void row_add(struct json_object *row, const char *key,
                    struct json_object *value)
{
    if (row == NULL || json_object_object_add(row, key, value) != 0) {
        json_object_put(value);
    }
}

struct json_object *srdtool_row_new(const stats_segment_t *segment)
{
    struct json_object *row = json_object_new_object();

    if (segment != NULL) {
        srdtool_row_uint(row, "pid", segment->header.pid);
        srdtool_row_string(row, "comm", segment->header.command);
        srdtool_row_bool(row, "running", segment->alive);
        srdtool_row_bool(row, "gone", !segment->alive);
        srdtool_row_bool(row, "stopped", segment->proc_state == 'T');
    }
    return row;
}

void srdtool_row_uint(struct json_object *row, const char *key, uint64_t value)
{
    row_add(row, key, json_object_new_uint64(value));
}

void srdtool_row_string(struct json_object *row, const char *key,
                        const char *value)
{
    row_add(row, key, (value != NULL) ? json_object_new_string(value) : NULL);
}

void srdtool_row_bool(struct json_object *row, const char *key, bool value)
{
    row_add(row, key, json_object_new_boolean(value));
}

void srdtool_row_gid(struct json_object *row, const uint8_t *gid)
{
    char buffer[INET6_ADDRSTRLEN];

    srdtool_row_string(row, "gid",
                       inet_ntop(AF_INET6, gid, buffer, sizeof(buffer)));
}

static void row_share(struct json_object *row, const char *key, uint64_t held,
                      uint64_t max)
{
    struct json_object *share = json_object_new_object();

    srdtool_row_uint(share, "held", held);
    srdtool_row_uint(share, "max", max);
    row_add(row, key, share);
}

void srdtool_row_device(struct json_object *row,
                        const efa_stats_device_t *device)
{
    row_share(row, "pd", device->pd, device->pd_max);
    row_share(row, "cq", device->cq, device->cq_max);
    row_share(row, "qp", device->qp, device->qp_max);
    row_share(row, "mr", device->mr, device->mr_max);
    row_share(row, "ah", device->ah, device->ah_max);
    srdtool_row_uint(row, "mr_bytes", device->mr_bytes);
    srdtool_row_uint(row, "refused", device->refused);
    srdtool_row_uint(row, "leaked", device->leaked);
}

void srdtool_row_status(struct json_object *row, int32_t status)
{
    const char *name = stats_name_status(status);
    char number[32];

    if (name == NULL) {
        snprintf(number, sizeof(number), "%d", status);
        name = number;
    }
    srdtool_row_string(row, "status", (status == 0) ? NULL : name);
}

void srdtool_row_age(struct json_object *row, const char *key,
                     const stats_segment_t *segment, uint64_t time)
{
    if (time == 0) {
        row_add(row, key, NULL);
    } else {
        srdtool_row_uint(row, key, stats_time_age(segment, time));
    }
}

void srdtool_row_why(struct json_object *row, const why_input_t *in)
{
    uint64_t since;
    why_t why = why_get(in, &since);

    srdtool_row_string(row, "why", why_name(why));
    srdtool_row_age(row, "why_ns", in->segment, since);
}

void srdtool_row_link(struct json_object *row, const stats_segment_t *segment,
                      uint32_t index)
{
    const efa_stats_iface_t *iface = stats_link_iface(segment, index);

    srdtool_row_string(row, "link", (iface != NULL) ? iface->name : NULL);
    if (index == EFA_STATS_NONE) {
        row_add(row, "iface", NULL);
    } else {
        srdtool_row_uint(row, "iface", index);
    }
}
