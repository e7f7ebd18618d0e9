/*
 * srdtool: looks into programs that run on the srd transport.
 *
 *   srdtool_run.h      the command line
 *      |
 *      |-- srdtool_dev.c     dev, link      --.
 *      |-- srdtool_res.c     res, objects     |   srdtool_snapshots.c  which
 *      |-- srdtool_ep.c      res, ep, peer    |-> srdtool_filter.c     of them
 *      |-- srdtool_stat.c    stat             |   srdtool_row.c        what
 *      |-- srdtool_sum.c     stat show sum    |
 *      |-- srdtool_nic.c     stat show nic    |   srdtool_list.c       where
 *      |-- srdtool_event.c   event            |   srdtool_print.c,
 *      |-- srdtool_top.c     top            --'   srdtool_time.c       how
 *      '-- doctor/, selftest/
 *
 * Everything shown is a row: a JSON object of json-c, made in one place for
 * text and JSON alike, with keys in the order of a list of keys. What is not
 * known is null in JSON and left out of text. Keys that end in _ns are
 * durations.
 *
 * It only reads files; it does not touch, slow down or stop a process.
 */
#ifndef SRDTOOL_H
#define SRDTOOL_H

#include "tools/report/output.h"
#include "tools/cmd/why.h"
#include "tools/reader/stats_reader.h"

#include <json-c/json.h>
#include <stdio.h>

enum {
    SRDTOOL_SHOWN   = 0,
    SRDTOOL_NOTHING = 1,   /* there was nothing, or something failed */
    SRDTOOL_USAGE   = 2
};

typedef struct {
    srdtool_output_t out;
    uint32_t         pid;           /* --pid; 0: all                        */
    bool             dead;          /* --dead                               */
    const char       *file;         /* --file, or NULL                      */
    unsigned         count;         /* -n; 0: no end                        */
    unsigned         interval_ms;   /* -i; 0: the object's own              */
} srdtool_t;

/* An object and what `run` is given: the words behind its name, options taken
 * out. run returns one of SRDTOOL_. */
typedef struct {
    const char *name;
    const char *text;   /* one line                                       */
    const char *usage;  /* lines "       srdtool ...\n", then explanation */
    void       (*usage_end)(FILE *out); /* prints what follows; NULL: none */
    int        (*run)(srdtool_t *tool, int num_words, char **words);
} srdtool_object_t;

/* ---- words: srdtool_word.c ----------------------------------------------- */

void srdtool_word_usage(FILE *out, const srdtool_object_t *object);

/* Prints "srdtool: ..." and the usage of the object. Returns SRDTOOL_USAGE. */
int srdtool_word_wrong(const srdtool_object_t *object, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether `word` is `name` or the beginning of it. Looks for `word` among
 * names (NULL ends them): index; -1: none; -2: of several. */
int srdtool_word_find(const char *word, const char *const *names);

/* The same as above for a command, which says what is wrong: the index, or -1
 * after the usage was printed. */
int srdtool_word_command(const srdtool_object_t *object, const char *word,
                         const char *const *names);

/* ---- snapshots: srdtool_snapshots.c -------------------------------------- */

/* A stats segment as it was read at one moment */
typedef struct {
    stats_segment_t segment;
    bool            *idle; /* by interface: its polls did not move           */
} srdtool_snapshot_t;

typedef struct {
    srdtool_snapshot_t *list;
    unsigned          num;
    unsigned          room;
    unsigned          failed; /* named, could not be read, each said         */
    unsigned          unread; /* the same, of those that were not named      */
    unsigned          left;   /* of the dead (or the living with --dead)     */
} srdtool_snapshots_t;

/* Those that the options ask for. Twice: reads them again after at least
 * SRDTOOL_POLLS_MS, for `idle`. Says what cannot be read. */
void srdtool_snapshots_load(const srdtool_t *tool, bool twice,
                            srdtool_snapshots_t *snapshots);
void srdtool_snapshots_free(srdtool_snapshots_t *snapshots);

/* The same in two steps, for repeated looks: idle compares with `before`, which
 * may be NULL. */
void srdtool_snapshots_read(const srdtool_t *tool,
                            srdtool_snapshots_t *snapshots);
void srdtool_snapshots_compare(const srdtool_snapshots_t *before,
                               srdtool_snapshots_t *snapshots);

/* The one that is of the same file as `segment`, or NULL */
const srdtool_snapshot_t *
srdtool_snapshots_same(const srdtool_snapshots_t *snapshots,
                       const stats_segment_t *segment);

/* Exit status for what was shown; says why there was nothing to look at. */
int srdtool_snapshots_status(const srdtool_t *tool,
                             const srdtool_snapshots_t *snapshots,
                             size_t shown);

/* ---- filters: srdtool_filter.c ------------------------------------------ */

#define SRDTOOL_FILTERS_MAX 16

/* "pid 0-100,654 state ready": key and list in turn; a row passes all */
typedef struct {
    const char *key[SRDTOOL_FILTERS_MAX];
    const char *list[SRDTOOL_FILTERS_MAX];
    unsigned   num;
} srdtool_filter_t;

/* keys: what may be asked for, see srdtool_row.c. Returns 0, or SRDTOOL_USAGE
 * after the usage was printed. */
int srdtool_filter_parse(const srdtool_object_t *object,
                         const char *const *keys, int num_words, char **words,
                         srdtool_filter_t *filter);
bool srdtool_filter_match(const srdtool_filter_t *filter,
                          struct json_object *row);

/* ---- rows: srdtool_row.c ------------------------------------------------ */

/* A list of keys is {"ep", "pid", "+zcopy", ..., NULL}: +: with -d only. */

struct json_object *srdtool_row_new(const stats_segment_t *segment);
void srdtool_row_uint(struct json_object *row, const char *key, uint64_t value);
void srdtool_row_string(struct json_object *row, const char *key,
                        const char *value);       /* NULL: not known */
void srdtool_row_bool(struct json_object *row, const char *key, bool value);
void srdtool_row_gid(struct json_object *row, const uint8_t *gid);
/* What is held of a device, and of which limits; what went wrong with it */
void srdtool_row_device(struct json_object *row,
                        const efa_stats_device_t *device);
/* A status of UCS; null if there is none */
void srdtool_row_status(struct json_object *row, int32_t status);
/* From `time` to now; null if it is 0. key ends in _ns */
void srdtool_row_age(struct json_object *row, const char *key,
                     const stats_segment_t *segment, uint64_t time);
void srdtool_row_why(struct json_object *row, const why_input_t *in);
/* Name and number of an interface: "link", "iface" */
void srdtool_row_link(struct json_object *row, const stats_segment_t *segment,
                      uint32_t index);

/* ---- lists: srdtool_list.c ----------------------------------------------- */

/* Where rows go: text is printed at once, JSON kept until the end. */
typedef struct {
    const srdtool_output_t *out;
    struct json_object     *array;   /* NULL for text */
    size_t                 num;
} srdtool_list_t;

void srdtool_list_init(srdtool_list_t *list, const srdtool_output_t *out);

/* Takes the row; drops it if it does not pass. True: it passed. */
bool srdtool_list_add(srdtool_list_t *list, const srdtool_filter_t *filter,
                      const char *const *keys, struct json_object *row);

/* Prints what is left to print. Returns how many rows there were. */
size_t srdtool_list_finish(srdtool_list_t *list);

/* ---- printing: srdtool_print.c ------------------------------------------- */

/* One value, one document; takes it. */
void srdtool_print_json(const srdtool_output_t *out,
                        struct json_object *value);
/* A line of text without its newline */
void srdtool_print_row(const srdtool_output_t *out, const char *const *keys,
                       struct json_object *row);

/* ---- times: srdtool_time.c ----------------------------------------------- */

/* "1.2s", "340us", "3d04h": at most 6 characters. Returns buffer. */
#define SRDTOOL_DURATION_MAX 24
const char *
srdtool_time_duration(uint64_t ns, char buffer[SRDTOOL_DURATION_MAX]);

/* "2026-11-21 13:40:01.123456", in local time. Returns buffer. */
#define SRDTOOL_WALL_MAX 48
const char *srdtool_time_wall(uint64_t ns, char buffer[SRDTOOL_WALL_MAX]);

/* Between two outputs. False: nobody reads them any more, so end. */
bool srdtool_time_pause(unsigned ms);

/* ---- objects ------------------------------------------------------------- */

extern const srdtool_object_t srdtool_dev, srdtool_link, srdtool_res,
        srdtool_stat, srdtool_event, srdtool_top;

/* An endpoint or, if ep is NULL, a peer: srdtool_ep.c */
extern const char *const srdtool_ep_keys[];
struct json_object *srdtool_ep_row(const srdtool_snapshot_t *snap,
                                   const efa_stats_ep_t *ep,
                                   const efa_stats_peer_t *peer);

/* res show ep, res show peer; object: whose usage a wrong filter prints */
int srdtool_ep_show(const srdtool_object_t *object, srdtool_t *tool, bool peers,
                    int num_words, char **words);

/* stat show sum: srdtool_sum.c; likewise */
int srdtool_sum_show(const srdtool_object_t *object, srdtool_t *tool,
                     int num_words, char **words);

/* stat show nic: srdtool_nic.c; likewise */
int srdtool_nic_show(const srdtool_object_t *object, srdtool_t *tool,
                     int num_words, char **words);

#endif
