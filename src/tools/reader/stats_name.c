/*
 * Names and texts of what a stats segment holds: the lists of
 * efa_stats_format.h as tables.
 */
#include "tools/reader/stats_reader.h"

#define COUNTER_NAME(_name, _text)      #_name,
#define COUNTER_TEXT(_name, _text)      _text,
#define EVENT_NAME(_NAME, _name, _text) _name,
#define EVENT_TEXT(_NAME, _name, _text) _text,

#define NUM(_table) (sizeof(_table) / sizeof((_table)[0]))

static const char *const iface_names[]  = {
    EFA_STATS_IFACE_COUNTERS(COUNTER_NAME)
};
static const char *const iface_texts[]  = {
    EFA_STATS_IFACE_COUNTERS(COUNTER_TEXT)
};
static const char *const peer_names[]   = {
    EFA_STATS_PEER_COUNTERS(COUNTER_NAME)
};
static const char *const peer_texts[]   = {
    EFA_STATS_PEER_COUNTERS(COUNTER_TEXT)
};
static const char *const device_names[] = {
    EFA_STATS_DEVICE_COUNTERS(COUNTER_NAME)
};
static const char *const device_texts[] = {
    EFA_STATS_DEVICE_COUNTERS(COUNTER_TEXT)
};
static const char *const event_names[]  = {
    EFA_STATS_EVENTS_LIST(EVENT_NAME)
};
static const char *const event_texts[]  = {
    EFA_STATS_EVENTS_LIST(EVENT_TEXT)
};
static const char *const peer_states[]  = EFA_STATS_PEER_STATE_NAMES;
static const char *const iface_states[] = EFA_STATS_IFACE_STATE_NAMES;
static const char *const data_paths[]   = EFA_STATS_PATH_NAMES;
static const char *const kinds[]        = EFA_STATS_KIND_NAMES;

static_assert(NUM(peer_states) == EFA_STATS_PEER_LAST, "a name for each");
static_assert(NUM(iface_states) == EFA_STATS_IFACE_STATE_LAST,
              "a name for each");
static_assert(NUM(kinds) == EFA_STATS_KIND_LAST, "a name for each");

/* ucs_status_t, from 0 down; UCX keeps these numbers */
static const char *const statuses[] = {
    "ok", "no-message", "no-resource", "io-error", "no-memory",
    "invalid-param", "unreachable", "invalid-addr", "not-implemented",
    "message-truncated", "no-progress", "buffer-too-small", "no-elem",
    "some-connects-failed", "no-device", "busy", "canceled", "shmem-segment",
    "already-exists", "out-of-range", "timed-out", "exceeds-limit",
    "unsupported", "rejected", "not-connected", "connection-reset"
};

/* Control messages, as in docs/srd-wire.md section 5 */
static const char *const controls[] = {
    "data", "hello", "hello-ack", "ext-req", "ext-ack", "bye", "bye-ack",
    "ping", "reject", "rejoin", "rejoin-ack", "key-req", "key-ack"
};

enum {
    STATUS_ENDPOINT_TIMEOUT = -80
};

#define GET(_table, _index, _none) \
    (((_index) < NUM(_table)) ? (_table)[_index] : (_none))

const char *stats_name_iface_counter(unsigned index)
{
    return GET(iface_names, index, NULL);
}

const char *stats_name_iface_counter_text(unsigned index)
{
    return GET(iface_texts, index, NULL);
}

const char *stats_name_peer_counter(unsigned index)
{
    return GET(peer_names, index, NULL);
}

const char *stats_name_peer_counter_text(unsigned index)
{
    return GET(peer_texts, index, NULL);
}

const char *stats_name_device_counter(unsigned index)
{
    return GET(device_names, index, NULL);
}

const char *stats_name_device_counter_text(unsigned index)
{
    return GET(device_texts, index, NULL);
}

const char *stats_name_event(unsigned event)
{
    return GET(event_names, event, NULL);
}

const char *stats_name_event_text(unsigned event)
{
    return GET(event_texts, event, NULL);
}

const char *stats_name_peer_state(uint32_t state)
{
    return GET(peer_states, state, "?");
}

const char *stats_name_iface_state(uint32_t state)
{
    return GET(iface_states, state, "?");
}

const char *stats_name_data_path(uint32_t path)
{
    return GET(data_paths, path, "?");
}

const char *stats_name_kind(uint32_t kind)
{
    return GET(kinds, kind, "?");
}

const char *stats_name_control(uint32_t control)
{
    return GET(controls, control, "?");
}

const char *stats_name_status(int32_t status)
{
    if (status == STATUS_ENDPOINT_TIMEOUT) {
        return "endpoint-timeout";
    }
    if (status > 0 || status <= -(int32_t)NUM(statuses)) {
        return NULL;
    }
    return statuses[-status];
}
