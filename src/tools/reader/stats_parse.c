/*
 * What the bytes of a stats segment say: see stats_reader.h.
 *
 *   header, lengths of records: checked
 *     records of a type   count --> copy, as types[] says    what changed its
 *     rings of events     count --> copy                     gen is left out
 */
#include "tools/reader/stats_reader.h"

#include <stdlib.h>
#include <string.h>

/* How a record of a type is copied */
typedef struct {
    size_t   size;         /* of the copy                                   */
    size_t   min;          /* shorter ones do not say what they are of      */
    size_t   fixed;        /* bytes in front of the counters; all if none   */
    unsigned known;        /* counters; 0: the type has none                */
    size_t   num_counters; /* offsets of these fields                       */
    size_t   counters_off;
    size_t   string;       /* offset, 0: none                               */
    size_t   string_size;
} record_type_t;

#define WITH_COUNTERS(_type, _OFF, _NUM) \
    .size = sizeof(_type), .min = _OFF, .fixed = _OFF, .known = _NUM, \
    .num_counters = offsetof(_type, num_counters), \
    .counters_off = offsetof(_type, counters_off)
#define WITHOUT(_type) \
    .size = sizeof(_type), .min = EFA_STATS_ALIGN, .fixed = sizeof(_type)
#define STRING(_type, _field) \
    .string = offsetof(_type, _field), \
    .string_size = sizeof(((_type*)NULL)->_field)

static const record_type_t types[EFA_STATS_TYPE_LAST] = {
    [EFA_STATS_IFACE]  = {WITH_COUNTERS(efa_stats_iface_t,
                                        EFA_STATS_IFACE_OFF,
                                        EFA_STATS_IFACE_NUM),
                           STRING(efa_stats_iface_t, name)},
    [EFA_STATS_PEER]   = {WITH_COUNTERS(efa_stats_peer_t,
                                        EFA_STATS_PEER_OFF,
                                        EFA_STATS_PEER_NUM)},
    [EFA_STATS_DEVICE] = {WITH_COUNTERS(efa_stats_device_t,
                                        EFA_STATS_DEVICE_OFF,
                                        EFA_STATS_DEVICE_NUM),
                           STRING(efa_stats_device_t, name)},
    [EFA_STATS_OBJECT] = {WITHOUT(efa_stats_object_t),
                           STRING(efa_stats_object_t, site)},
    [EFA_STATS_EP]     = {WITHOUT(efa_stats_ep_t),
                           STRING(efa_stats_ep_t, site)}
};

/* Names come from a file that anybody may have made, and go to a terminal */
static void clean_string(char *string, size_t size)
{
    size_t i;

    string[size - 1] = '\0';
    for (i = 0; string[i] != '\0'; ++i) {
        if (string[i] < ' ' || string[i] > '~') {
            string[i] = '?';
        }
    }
}

/* ------------------------------------------------------------------ checks */

const char *stats_parse_header(const efa_stats_header_t *header, size_t size)
{
    if (header->magic != EFA_STATS_MAGIC) {
        return "not a stats segment (no magic number)";
    }
    if (header->version != EFA_STATS_VERSION) {
        return "written by another version of the library";
    }
    if (header->header_len < sizeof(*header) ||
        header->header_len % EFA_STATS_ALIGN != 0) {
        return "damaged: bad header length";
    }
    if (header->used < header->header_len || header->used > size ||
        header->used % EFA_STATS_ALIGN != 0) {
        return "damaged: bad end of records";
    }

    return NULL;
}

static efa_stats_record_t get_record(const uint8_t *data, size_t pos)
{
    efa_stats_record_t rec;

    memcpy(&rec, data + pos, sizeof(rec));
    return rec;
}

/* Every record inside of [header_len, used), in steps that end there. */
static const char *check_records(const efa_stats_header_t *header,
                                 const uint8_t *data)
{
    efa_stats_record_t rec;
    size_t pos;

    for (pos = header->header_len; pos < header->used; pos += rec.length) {
        rec = get_record(data, pos);
        if (rec.length < EFA_STATS_ALIGN || rec.length % EFA_STATS_ALIGN != 0 ||
            rec.length > header->used - pos) {
            return "damaged: bad length of a record";
        }
    }

    return NULL;
}

/* ----------------------------------------------------------------- records */

/* Copies the words that lie in the record and that we know */
static void get_counters(const record_type_t *type, const uint8_t *record,
                         uint32_t length, uint8_t *copy)
{
    uint32_t num, off;
    size_t room;

    memcpy(&num, record + type->num_counters, sizeof(num));
    memcpy(&off, record + type->counters_off, sizeof(off));
    if (off < sizeof(efa_stats_record_t) || off % sizeof(uint64_t) != 0 ||
        off > length) {
        num = 0;
        off = 0;
    }

    room = (length - off) / sizeof(uint64_t);
    if (num > room) {
        num = (uint32_t)room;
    }
    if (num > type->known) {
        num = type->known;
    }
    memcpy(copy + type->fixed, record + off, num * sizeof(uint64_t));
    memcpy(copy + type->num_counters, &num, sizeof(num));
}

/* Copies the records of a type; counts them if there is no room. */
static unsigned get_all(unsigned index, const efa_stats_header_t *header,
                        const uint8_t *first, const uint8_t *second,
                        uint8_t *copy)
{
    const record_type_t *type = &types[index];
    unsigned count            = 0;
    efa_stats_record_t rec;
    uint32_t place;
    size_t pos;

    for (pos = header->header_len; pos < header->used; pos += rec.length) {
        rec = get_record(first, pos);
        if (rec.type != index || rec.length < type->min || rec.gen % 2 != 0 ||
            get_record(second, pos).gen != rec.gen) {
            continue;
        }

        ++count;
        if (copy == NULL) {
            continue;
        }
        memset(copy, 0, type->size);
        memcpy(copy, first + pos,
               (rec.length < type->fixed) ? rec.length : type->fixed);
        if (type->known > 0) {
            get_counters(type, first + pos, rec.length, copy);
        }
        if (type->string > 0) {
            clean_string((char *)copy + type->string, type->string_size);
        }
        place = (uint32_t)(pos / EFA_STATS_ALIGN);
        memcpy(copy + offsetof(efa_stats_record_t, reserved), &place,
               sizeof(place));
        copy += type->size;
    }

    return count;
}

/* Returns false if there is no memory. */
static bool get_type(unsigned index, const efa_stats_header_t *header,
                     const uint8_t *first, const uint8_t *second, void **list,
                     unsigned *num)
{
    *num = get_all(index, header, first, second, NULL);
    if (*num == 0) {
        return true;
    }

    *list = aligned_alloc(EFA_STATS_ALIGN, *num * types[index].size);
    if (*list == NULL) {
        return false;
    }
    get_all(index, header, first, second, *list);
    return true;
}

static int compare_ifaces(const void *a, const void *b)
{
    uint32_t x = ((const efa_stats_iface_t *)a)->index;
    uint32_t y = ((const efa_stats_iface_t *)b)->index;

    return (x > y) - (x < y);
}

static int compare_devices(const void *a, const void *b)
{
    uint32_t x = ((const efa_stats_device_t *)a)->index;
    uint32_t y = ((const efa_stats_device_t *)b)->index;

    return (x > y) - (x < y);
}

/* So that links are found soon, however many somebody wrote */
static void sort_by_index(stats_segment_t *segment)
{
    if (segment->num_ifaces > 0) {
        qsort(segment->ifaces, segment->num_ifaces, sizeof(*segment->ifaces),
              compare_ifaces);
    }
    if (segment->num_devices > 0) {
        qsort(segment->devices, segment->num_devices, sizeof(*segment->devices),
              compare_devices);
    }
}

/* One ring; *num grows by the events that were whole and stayed what they were.
 * Counts if list is NULL. */
static void get_ring(const uint8_t *first, const uint8_t *second,
                     uint32_t length, efa_stats_event_entry_t *list,
                     unsigned *num)
{
    efa_stats_event_entry_t entry, again;
    efa_stats_events_t ring;
    uint64_t number, i;
    size_t off;

    memcpy(&ring, first, sizeof(ring));
    if (ring.num == 0 || ring.entries_off < sizeof(efa_stats_record_t) ||
        ring.entries_off > length ||
        ring.num > (length - ring.entries_off) / sizeof(entry)) {
        return;
    }

    number = (ring.next > ring.num) ? ring.next - ring.num : 0;
    for (i = 0; i < ring.num && number < ring.next; ++i, ++number) {
        off = ring.entries_off + (number % ring.num) * sizeof(entry);
        memcpy(&entry, first + off, sizeof(entry));
        memcpy(&again, second + off, sizeof(again));
        if (entry.seq == number + 1 && again.seq == entry.seq) {
            if (list != NULL) {
                list[*num] = entry;
            }
            ++*num;
        }
    }
}

static bool get_events(const efa_stats_header_t *header, const uint8_t *first,
                       const uint8_t *second, stats_segment_t *segment)
{
    efa_stats_event_entry_t *list = NULL;
    efa_stats_record_t rec;
    unsigned pass, num = 0;
    size_t pos;

    for (pass = 0; pass < 2; ++pass) {
        num = 0;
        for (pos = header->header_len; pos < header->used; pos += rec.length) {
            rec = get_record(first, pos);
            if (rec.type == EFA_STATS_EVENTS && rec.gen % 2 == 0 &&
                get_record(second, pos).gen == rec.gen) {
                get_ring(first + pos, second + pos, rec.length, list, &num);
            }
        }
        if (num == 0) {
            return true;
        }
        if (pass == 0) {
            list = calloc(num, sizeof(*list));
            if (list == NULL) {
                return false;
            }
        }
    }

    segment->events     = list;
    segment->num_events = num;
    return true;
}

const char *stats_parse(const void *first, const void *second, size_t size,
                        stats_segment_t *segment)
{
    const char *reason;
    struct {
        void     **list;
        unsigned *num;
    } lists[EFA_STATS_TYPE_LAST] = {
        [EFA_STATS_IFACE]  = {(void**)&segment->ifaces, &segment->num_ifaces},
        [EFA_STATS_PEER]   = {(void**)&segment->peers, &segment->num_peers},
        [EFA_STATS_DEVICE] = {(void**)&segment->devices, &segment->num_devices},
        [EFA_STATS_OBJECT] = {(void**)&segment->objects, &segment->num_objects},
        [EFA_STATS_EP]     = {(void**)&segment->eps, &segment->num_eps}
    };
    unsigned i;

    memset(segment, 0, sizeof(*segment));
    if (size < sizeof(segment->header)) {
        return "too short for a stats segment";
    }
    memcpy(&segment->header, first, sizeof(segment->header));
    reason = stats_parse_header(&segment->header, size);
    if (reason == NULL) {
        reason = check_records(&segment->header, first);
    }
    if (reason != NULL) {
        return reason;
    }

    for (i = 0; i < EFA_STATS_TYPE_LAST; ++i) {
        if (lists[i].list != NULL &&
            !get_type(i, &segment->header, first, second, lists[i].list,
                      lists[i].num)) {
            goto err_nomem;
        }
    }
    if (!get_events(&segment->header, first, second, segment)) {
        goto err_nomem;
    }

    sort_by_index(segment);
    clean_string(segment->header.command, sizeof(segment->header.command));
    clean_string(segment->header.library, sizeof(segment->header.library));
    return NULL;

err_nomem:
    stats_free(segment);
    return "no memory to read it";
}

void stats_free(stats_segment_t *segment)
{
    free(segment->devices);
    free(segment->ifaces);
    free(segment->peers);
    free(segment->eps);
    free(segment->objects);
    free(segment->events);
    memset(segment, 0, sizeof(*segment));
}
