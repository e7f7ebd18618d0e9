/*
 * Fuzzing the reader of segments and all that srdtool prints of one.
 *
 *   input   command, options, n, n changes, the file
 *
 *   command  what srdtool is asked for: index of commands[]
 *   options  bits: JSON, pretty, details, the owner lives, the file as it is
 *            (else with a true magic, version and end, which are hard to guess)
 *   change   place (two bytes, in eight bytes) and value: what the owner has
 *            written when the file is looked at for the second time
 *
 * Must hold: no access outside, no leak, no hang, no exit status but 0, 1, 2; a
 * segment that could be read has strings that end and are printable.
 */
#include "fuzz_assert.h"
#include "tools/doctor/doctor.h"
#include "tools/selftest/selftest.h"
#include "tools/srdtool_run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#undef nanosleep

#define MAX_SIZE  65536u
#define MAX_WORDS 12

enum {
    OPTION_JSON    = 1,
    OPTION_PRETTY  = 2,
    OPTION_DETAILS = 4,
    OPTION_ALIVE   = 8,
    OPTION_RAW     = 16
};

static const char *const commands[][MAX_WORDS] = {
    {"res", "show", "ep"},
    {"res", "show", "peer", "state", "joined,new", "qpn", "0-1000"},
    {"res"},
    {"res", "show", "qp"},
    {"res", "show", "mr"},
    {"res", "show", "ah", "gid", "fe80::9"},
    {"link"},
    {"dev"},
    {"stat"},
    {"stat", "show", "peer"},
    {"event"},
    {"top", "-n", "1"},
    {"res", "show", "ep", "why", "rnr-backoff,ready", "pid", "0-4294967295"},
    {"event", "show", "event", "peer-state,rnr", "seq", "1-"},
    {"res", "show", "pd"},
    {"res", "show", "cq"}
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static char path[64];
static int fd = -1;
static uint8_t first[MAX_SIZE], second[MAX_SIZE];
static size_t size;

int doctor_run(int argc, char **argv, const srdtool_output_t *out)
{
    (void)argc, (void)argv, (void)out;
    return 1;
}

int selftest_run(int argc, char **argv, const srdtool_output_t *out)
{
    (void)argc, (void)argv, (void)out;
    return 1;
}

static void write_file(const uint8_t *data)
{
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
}

int fuzz_stats_sleep(const struct timespec *time, struct timespec *rest)
{
    (void)time, (void)rest;
    write_file(second);
    return 0;
}

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = getenv("TMPDIR");

    (void)argc, (void)argv;
    snprintf(path, sizeof(path), "%.40s/fuzz-segment.XXXXXX",
             (dir != NULL && strlen(dir) < 40) ? dir : "/tmp");
    fd = mkstemp(path);
    CHECK(fd >= 0);
    atexit(remove_file);
    CHECK(freopen("/dev/null", "w", stdout) != NULL);
    return 0;
}

static void check_string(const char *string, size_t max)
{
    size_t i, length = strnlen(string, max);

    CHECK(length < max);
    for (i = 0; i < length; ++i) {
        CHECK(string[i] >= ' ' && string[i] <= '~');
    }
}

/* As two looks at a file that changes; links lead into the arrays */
static void check_parse(void)
{
    const efa_stats_iface_t *iface;
    const efa_stats_peer_t *peer;
    stats_entry_t entry;
    stats_segment_t segment;
    size_t pos = 0;
    unsigned i;

    if (stats_parse(first, second, size, &segment) != NULL) {
        CHECK(segment.num_peers == 0 || segment.peers == NULL);
        return;
    }

    check_string(segment.header.command, sizeof(segment.header.command));
    check_string(segment.header.library, sizeof(segment.header.library));
    for (i = 0; i < segment.num_eps; ++i) {
        check_string(segment.eps[i].site, sizeof(segment.eps[i].site));
        peer  = stats_link_peer(&segment, &segment.eps[i]);
        iface = stats_link_iface(&segment, segment.eps[i].iface);
        CHECK(peer == NULL || (peer >= segment.peers &&
                               peer < segment.peers + segment.num_peers));
        CHECK(iface == NULL || iface->index == segment.eps[i].iface);
    }
    for (i = 0; i < segment.num_ifaces; ++i) {
        check_string(segment.ifaces[i].name, sizeof(segment.ifaces[i].name));
        CHECK(stats_link_iface(&segment, segment.ifaces[i].index) != NULL);
        CHECK(segment.ifaces[i].num_counters <= EFA_STATS_IFACE_NUM);
    }
    for (i = 1; i < segment.num_peers; ++i) {
        CHECK(segment.peers[i - 1].rec.reserved <
              segment.peers[i].rec.reserved);
    }
    for (i = 0; i < segment.num_events; ++i) {
        CHECK(segment.events[i].seq != 0);
    }
    while (stats_entry_next(&segment, EFA_STATS_PEER, &pos, &entry)) {
        CHECK(entry.num_counters <= EFA_STATS_PEER_NUM);
    }
    CHECK(stats_time_newest(&segment) >= segment.header.open_time);
    stats_free(&segment);
}

static void run(unsigned command, unsigned options)
{
    static const srdtool_t defaults;
    char *argv[MAX_WORDS + 6] = {(char *)"srdtool", (char *)"--file", path};
    int argc                  = 3;
    int status;
    unsigned i;

    if (options & OPTION_JSON) {
        argv[argc++] = (char *)"-j";
    }
    if (options & OPTION_PRETTY) {
        argv[argc++] = (char *)"-p";
    }
    if (options & OPTION_DETAILS) {
        argv[argc++] = (char *)"-d";
    }
    for (i = 0; i < MAX_WORDS && commands[command][i] != NULL; ++i) {
        argv[argc++] = (char *)commands[command][i];
    }

    write_file(first);
    flock(fd, (options & OPTION_ALIVE) ? LOCK_EX : LOCK_UN);
    status = srdtool_run(&defaults, argc, argv, false);
    CHECK(status >= 0 && status <= 2);
}

/* What a blind change would never hit */
static void make_true(void)
{
    efa_stats_header_t header;

    if (size < sizeof(header)) {
        return;
    }
    memcpy(&header, first, sizeof(header));
    header.magic      = EFA_STATS_MAGIC;
    header.version    = EFA_STATS_VERSION;
    header.header_len = sizeof(header);
    header.used       = size / EFA_STATS_ALIGN * EFA_STATS_ALIGN;
    memcpy(first, &header, sizeof(header));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    unsigned command, options, changes, i;
    size_t place;

    if (length < 3) {
        return 0;
    }
    command = data[0] % NUM_COMMANDS;
    options = data[1];
    changes = data[2] % 16;
    data += 3;
    length -= 3;
    if (length < 3 * changes) {
        return 0;
    }

    size = length - 3 * changes;
    if (size > MAX_SIZE) {
        size = MAX_SIZE;
    }
    memcpy(first, data + 3 * changes, size);
    if (!(options & OPTION_RAW)) {
        make_true();
    }
    memcpy(second, first, size);
    for (i = 0; i < changes && size > 0; ++i) {
        place         = (data[3 * i] | data[3 * i + 1] << 8) * 8u % size;
        second[place] = data[3 * i + 2];
    }

    check_parse();
    run(command, options);
    return 0;
}
