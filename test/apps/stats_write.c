/*
 * Writes a stats segment (src/uct/ib/efa/stats/efa_stats_format.h) of any
 * content, for tests of its readers.
 *
 *   stats_write FILE < DESCRIPTION
 *
 *   header  pid=7 command=app          a line a record; what is not said is 0
 *   device  name=efa_0 ah=3 ah_max=8   (length and type say the truth unless
 *   iface   name=efa_0:1 index=0       told otherwise)
 *   peer    iface=0 qpn=12 state=2
 *   ep      iface=0 peer=1 pending=3   peer: the n-th peer of the file, from 1
 *   object  kind=2 number=12 site=main
 *   event   event=2 qpn=12 a=9         all of them make one ring, at the end
 *   ring    4                          entries that it has, 512 if not said
 *   poke    offset=4 size=2 value=9    bytes of the file as it stands now
 *   cut     300                        ends it there
 *   live                               holds the lock, prints "live" and stays
 *   progress                           until it is killed; as live, and counts
 *                                      polls of the first interface meanwhile
 *
 * Numbers: 7, 0x7, or @MS: so many ms ago, as CLOCK_MONOTONIC in ns. gid=N sets
 * the last byte of fe80::.
 */
#include "stats/efa_stats_format.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    const char *name;
    size_t     offset;
    size_t     size;      /* of a number; of a string if it is larger than 8 */
} field_t;

#define FIELD(_type, _field) \
    {#_field, offsetof(_type, _field), sizeof(((_type*)NULL)->_field)}
#define RECORD(_type) \
    {"length", offsetof(_type, rec.length), 4}, \
    {"type", offsetof(_type, rec.type), 2}, \
    {"flags", offsetof(_type, rec.flags), 2}, \
    {"gen", offsetof(_type, rec.gen), 4}
#define COUNTERS(_type) \
    FIELD(_type, num_counters), FIELD(_type, counters_off)

#define HEADER_FIELD(_field) FIELD(efa_stats_header_t, _field)
#define DEVICE_FIELD(_field) FIELD(efa_stats_device_t, _field)
#define IFACE_FIELD(_field)  FIELD(efa_stats_iface_t, _field)
#define PEER_FIELD(_field)   FIELD(efa_stats_peer_t, _field)
#define OBJECT_FIELD(_field) FIELD(efa_stats_object_t, _field)
#define EP_FIELD(_field)     FIELD(efa_stats_ep_t, _field)
#define EVENT_FIELD(_field)  FIELD(efa_stats_event_entry_t, _field)
#define DEVICE_COUNTER(_name, _text) DEVICE_FIELD(_name),
#define IFACE_COUNTER(_name, _text)  IFACE_FIELD(_name),
#define PEER_COUNTER(_name, _text)   PEER_FIELD(_name),

static const field_t header_fields[] = {
    HEADER_FIELD(magic), HEADER_FIELD(version), HEADER_FIELD(header_len),
    HEADER_FIELD(flags), HEADER_FIELD(size), HEADER_FIELD(used),
    HEADER_FIELD(pid), HEADER_FIELD(uid), HEADER_FIELD(start_time),
    HEADER_FIELD(create_time), HEADER_FIELD(ucx_version), HEADER_FIELD(hidden),
    HEADER_FIELD(command), HEADER_FIELD(library), HEADER_FIELD(open_time), {0}
};
static const field_t device_fields[] = {
    RECORD(efa_stats_device_t), COUNTERS(efa_stats_device_t),
    DEVICE_FIELD(name), DEVICE_FIELD(index),
    EFA_STATS_DEVICE_COUNTERS(DEVICE_COUNTER) {0}
};
static const field_t iface_fields[]  = {
    RECORD(efa_stats_iface_t), COUNTERS(efa_stats_iface_t),
    IFACE_FIELD(gid), IFACE_FIELD(qpn), IFACE_FIELD(name), IFACE_FIELD(index),
    IFACE_FIELD(device), IFACE_FIELD(state), IFACE_FIELD(asleep),
    IFACE_FIELD(tx_queue), IFACE_FIELD(create_time), IFACE_FIELD(state_time),
    IFACE_FIELD(progress_time), EFA_STATS_IFACE_COUNTERS(IFACE_COUNTER) {0}
};
static const field_t peer_fields[]   = {
    RECORD(efa_stats_peer_t), COUNTERS(efa_stats_peer_t), PEER_FIELD(gid),
    PEER_FIELD(qpn), PEER_FIELD(iface), PEER_FIELD(state), PEER_FIELD(epoch),
    PEER_FIELD(remote_epoch), PEER_FIELD(status),
    EFA_STATS_PEER_COUNTERS(PEER_COUNTER) {0}
};
static const field_t object_fields[] = {
    RECORD(efa_stats_object_t), OBJECT_FIELD(kind), OBJECT_FIELD(number),
    OBJECT_FIELD(device), OBJECT_FIELD(iface), OBJECT_FIELD(create_time),
    OBJECT_FIELD(size), OBJECT_FIELD(size2), OBJECT_FIELD(gid),
    OBJECT_FIELD(site), {0}
};
static const field_t ep_fields[]     = {
    RECORD(efa_stats_ep_t), EP_FIELD(index), EP_FIELD(iface), EP_FIELD(peer),
    EP_FIELD(status), EP_FIELD(create_time), EP_FIELD(pending),
    EP_FIELD(zcopy), EP_FIELD(rma), EP_FIELD(wait_time), EP_FIELD(site), {0}
};
static const field_t event_fields[]  = {
    EVENT_FIELD(seq), EVENT_FIELD(time), EVENT_FIELD(event),
    EVENT_FIELD(iface), EVENT_FIELD(status), EVENT_FIELD(gid),
    EVENT_FIELD(qpn), EVENT_FIELD(a), EVENT_FIELD(b), EVENT_FIELD(repeats),
    EVENT_FIELD(last), {0}
};

static const struct {
    const char    *name;
    uint16_t      type;
    size_t        size;
    const field_t *fields;
} records[] = {
    {"device", EFA_STATS_DEVICE, sizeof(efa_stats_device_t), device_fields},
    {"iface", EFA_STATS_IFACE, sizeof(efa_stats_iface_t), iface_fields},
    {"peer", EFA_STATS_PEER, sizeof(efa_stats_peer_t), peer_fields},
    {"object", EFA_STATS_OBJECT, sizeof(efa_stats_object_t), object_fields},
    {"ep", EFA_STATS_EP, sizeof(efa_stats_ep_t), ep_fields}
};

#define NUM_RECORDS (sizeof(records) / sizeof(records[0]))
#define MAX_PEERS   65536u

static uint8_t data[EFA_STATS_MAX_SIZE] __attribute__((aligned(64)));
static size_t used = sizeof(efa_stats_header_t);
static uint32_t peers[MAX_PEERS];
static unsigned num_peers;
static size_t first_iface;
static efa_stats_event_entry_t events[EFA_STATS_EVENTS_NUM];
static uint64_t num_events;
static uint32_t ring_num = EFA_STATS_EVENTS_NUM;

static void die(const char *what, const char *word)
{
    fprintf(stderr, "stats_write: %s '%s'\n", what, word);
    exit(2);
}

static uint64_t number(const char *text)
{
    static struct timespec now; /* one for all of the file */
    char *end;
    uint64_t value;

    value = strtoull(text + (*text == '@'), &end, 0);
    if (*end != '\0' || end == text) {
        die("no number", text);
    }
    if (*text != '@') {
        return value;
    }
    if (now.tv_sec == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec -
           value * 1000000u;
}

/* "key=value" into what lies at out */
static void set(const field_t *fields, uint8_t *out, char *word)
{
    char *value = strchr(word, '=');
    uint64_t bits;

    if (value == NULL) {
        die("no '=' in", word);
    }
    *value++ = '\0';
    while (fields->name != NULL && strcmp(fields->name, word) != 0) {
        ++fields;
    }
    if (fields->name == NULL) {
        die("no field", word);
    }
    out += fields->offset;
    if (strcmp(word, "gid") == 0) {
        out[0]  = 0xfe;
        out[1]  = 0x80;
        out[15] = (uint8_t)number(value);
    } else if (fields->size > 8) {
        memset(out, 0, fields->size);
        memcpy(out, value, strnlen(value, fields->size));
    } else {
        bits = number(value); /* little endian, as all that EFA runs on */
        memcpy(out, &bits, fields->size);
    }
}

static void set_all(const field_t *fields, uint8_t *out)
{
    char *word;

    while ((word = strtok(NULL, " \t\n")) != NULL) {
        set(fields, out, word);
    }
}

static void add_record(unsigned index)
{
    efa_stats_record_t *rec = (efa_stats_record_t *)(data + used);
    efa_stats_ep_t *ep      = (efa_stats_ep_t *)rec;

    if (used + records[index].size > sizeof(data)) {
        die("no room for", records[index].name);
    }
    rec->type   = records[index].type;
    rec->length = (uint32_t)records[index].size;
    if (rec->type == EFA_STATS_DEVICE) {
        ((efa_stats_device_t *)rec)->num_counters = EFA_STATS_DEVICE_NUM;
        ((efa_stats_device_t *)rec)->counters_off = EFA_STATS_DEVICE_OFF;
    } else if (rec->type == EFA_STATS_IFACE) {
        ((efa_stats_iface_t *)rec)->num_counters = EFA_STATS_IFACE_NUM;
        ((efa_stats_iface_t *)rec)->counters_off = EFA_STATS_IFACE_OFF;
        first_iface = (first_iface != 0) ? first_iface : used;
    } else if (rec->type == EFA_STATS_PEER && num_peers < MAX_PEERS) {
        ((efa_stats_peer_t *)rec)->num_counters = EFA_STATS_PEER_NUM;
        ((efa_stats_peer_t *)rec)->counters_off = EFA_STATS_PEER_OFF;
        peers[num_peers++] = (uint32_t)(used / EFA_STATS_ALIGN);
    }
    set_all(records[index].fields, data + used);
    if (rec->type == EFA_STATS_EP && ep->peer > 0 && ep->peer <= num_peers) {
        ep->peer = peers[ep->peer - 1];
    }
    used += records[index].size;
}

static void add_event(void)
{
    efa_stats_event_entry_t *event = &events[num_events % ring_num];

    memset(event, 0, sizeof(*event));
    event->seq = ++num_events;
    set_all(event_fields, (uint8_t *)event);
}

static void add_ring(void)
{
    efa_stats_events_t *ring = (efa_stats_events_t *)(data + used);
    size_t size              = ring_num * sizeof(events[0]);

    if (num_events == 0) {
        return;
    }
    if (used + sizeof(*ring) + size > sizeof(data)) {
        die("no room for", "event");
    }
    ring->rec.type    = EFA_STATS_EVENTS;
    ring->rec.length  = (uint32_t)(sizeof(*ring) + size);
    ring->num         = ring_num;
    ring->entries_off = sizeof(*ring);
    ring->next        = num_events;
    memcpy(ring + 1, events, size);
    used += ring->rec.length;
}

/* The ring and the header's end, as soon as the records are complete */
static void complete(void)
{
    efa_stats_header_t *header = (efa_stats_header_t *)data;

    add_ring();
    num_events = 0;
    if (header->used == 0) {
        header->used = used;
    }
}

static void poke(void)
{
    struct {
        uint64_t offset, size, value;
    } p = {0, 8, 0};
    static const field_t fields[] = {
        {"offset", 0, 8}, {"size", 8, 8}, {"value", 16, 8}, {0}
    };

    complete();
    set_all(fields, (uint8_t *)&p);
    if (p.size > 8 || p.offset > sizeof(data) - p.size) {
        die("outside of the file:", "poke");
    }
    memcpy(data + p.offset, &p.value, p.size);
}

static void save(const char *path, bool live, bool progress)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct timespec tick = {0, 5000000};
    efa_stats_iface_t *iface;

    if (fd < 0 || (live && flock(fd, LOCK_EX | LOCK_NB) != 0) ||
        write(fd, data, used) != (ssize_t)used) {
        die("cannot write", path);
    }
    if (!live) {
        close(fd);
        return;
    }

    printf("live\n");
    fflush(stdout);
    while (progress && first_iface != 0) {
        iface = (efa_stats_iface_t *)(data + first_iface);
        ++iface->polls;
        if (pwrite(fd, &iface->polls, 8,
                   (off_t)(first_iface + offsetof(efa_stats_iface_t, polls))) !=
            8) {
            die("cannot write", path);
        }
        nanosleep(&tick, NULL);
    }
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    efa_stats_header_t *header = (efa_stats_header_t *)data;
    bool live = false, progress = false;
    char line[4096], *word;
    struct timespec now;
    unsigned i;

    if (argc != 2) {
        die("usage: stats_write FILE < DESCRIPTION; not", argv[argc - 1]);
    }

    clock_gettime(CLOCK_REALTIME, &now);
    header->magic       = EFA_STATS_MAGIC;
    header->version     = EFA_STATS_VERSION;
    header->header_len  = sizeof(*header);
    header->size        = sizeof(data);
    header->pid         = (uint32_t)getpid();
    header->uid         = (uint32_t)getuid();
    header->create_time = (uint64_t)now.tv_sec * 1000000000u;
    header->open_time   = number("@0");
    strcpy(header->command, "stats_write");

    while (fgets(line, sizeof(line), stdin) != NULL) {
        word = strtok(line, " \t\n");
        if (word == NULL || word[0] == '#') {
            continue;
        }
        for (i = 0; i < NUM_RECORDS && strcmp(records[i].name, word) != 0;
             ++i) {
        }
        if (i < NUM_RECORDS) {
            add_record(i);
        } else if (strcmp(word, "header") == 0) {
            set_all(header_fields, data);
        } else if (strcmp(word, "event") == 0) {
            add_event();
        } else if (strcmp(word, "ring") == 0) {
            word     = strtok(NULL, " \t\n");
            ring_num = (uint32_t)number((word != NULL) ? word : "");
            if (ring_num == 0 || ring_num > EFA_STATS_EVENTS_NUM) {
                die("no ring of", word);
            }
        } else if (strcmp(word, "poke") == 0) {
            poke();
        } else if (strcmp(word, "cut") == 0) {
            complete();
            word = strtok(NULL, " \t\n");
            used = number((word != NULL) ? word : "");
        } else if (strcmp(word, "live") == 0 || strcmp(word, "progress") == 0) {
            live     = true;
            progress = *word == 'p';
        } else {
            die("no record", word);
        }
    }
    complete();
    save(argv[1], live, progress);
    return 0;
}
