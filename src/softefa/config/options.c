/*
 * The option table. An option that is a number is one line of `option_table`;
 * any other has a parse function, too.
 */
#include "config/options.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

extern char **environ;

#define DEFAULT_PROFILE "efa1"
#define DEFAULT_FABRIC  "default"

/* What SOFTEFA_LIMITS can change: 32-bit fields of the profile, and
 * capabilities, which it can take away (0) or give (1). */
#define LIMIT(_name, _min, _max)                                              \
    {#_name, offsetof(softefa_profile_t, _name), _min, _max, 0}
#define CAP(_name, _cap)                                                      \
    {#_name, offsetof(softefa_profile_t, caps), 0, 1, _cap}

#define MTU_MIN 256u
#define MTU_MAX 65535u

static const struct {
    const char *name;
    size_t     offset;
    uint32_t   min;         /* 0: nothing, or no limit; else a device without
                             * any would be none */
    uint32_t   max;         /* what the queue formats can carry */
    uint32_t   cap;         /* softefa_cap_t, 0: a number */
} limit_table[] = {
    LIMIT(max_qp, 1, 32768),
    LIMIT(max_cq, 1, 32768),
    LIMIT(max_cqe, 1, 32768),
    LIMIT(max_ah, 1, 65535),
    LIMIT(max_pd, 1, 65535),
    LIMIT(max_mr, 1, 262144),
    LIMIT(max_sq_wr, 1, 32768),
    LIMIT(max_rq_wr, 1, 32768),
    LIMIT(max_sq_sge, 1, 2),
    LIMIT(max_rq_sge, 1, 16),
    LIMIT(max_msg_size, MTU_MIN, MTU_MAX),
    LIMIT(max_rdma_size, 0, 1u << 30),
    LIMIT(max_tx_batch, 0, 65535),
    LIMIT(min_sq_wr, 0, 4096),
    LIMIT(comp_vectors, 1, 64),
    CAP(rdma_read, SOFTEFA_CAP_RDMA_READ),
    CAP(rdma_write, SOFTEFA_CAP_RDMA_WRITE),
    CAP(source_gid, SOFTEFA_CAP_CQ_WITH_SGID),
};

#define FAIL(_error, _size, ...)                                              \
    (snprintf(_error, _size, "softefa: " __VA_ARGS__), EINVAL)

/* Of a value in an error: what would be right must fit behind it */
#define GIVEN "%.60s"

static int parse_number(const char *text, uint64_t min, uint64_t max,
                        uint64_t *value)
{
    char *end;

    if ((text[0] < '0') || (text[0] > '9')) {
        return EINVAL;
    }

    errno  = 0;
    *value = strtoull(text, &end, 0);
    return ((errno == 0) && (*end == '\0') && (*value >= min) &&
            (*value <= max)) ?
                   0 :
                   EINVAL;
}

static int parse_fabric(softefa_options_t *options, const char *text,
                        char *error, size_t size)
{
    static const char valid[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length             = strlen(text);

    if ((length == 0) || (length >= sizeof(options->fabric)) ||
        (strspn(text, valid) != length)) {
        return FAIL(error, size,
                    "SOFTEFA_FABRIC=" GIVEN " is not a name of 1 to %d "
                    "letters, digits, _ or -",
                    text, SOFTEFA_FABRIC_CHARS - 1);
    }

    strcpy(options->fabric, text);
    return 0;
}

static int parse_profile(softefa_options_t *options, const char *text,
                         char *error, size_t size)
{
    const softefa_profile_t *profile = softefa_profile_find(text);
    unsigned last;

    if (profile != NULL) {
        options->profile = *profile;
        return 0;
    }

    for (last = 0; softefa_profile_get(last + 1) != NULL; ++last) {
    }
    return FAIL(error, size, "SOFTEFA_PROFILE=" GIVEN " is not one of %s..%s",
                text, softefa_profile_get(0)->name,
                softefa_profile_get(last)->name);
}

static int parse_limit(softefa_options_t *options, char *item, char *error,
                       size_t size)
{
    char *equals = strchr(item, '=');
    uint32_t *field;
    uint64_t value;
    size_t i;

    if (equals == NULL) {
        return FAIL(error, size,
                    "SOFTEFA_LIMITS: " GIVEN " has no value, write " GIVEN "=N",
                    item, item);
    }

    *equals = '\0';
    for (i = 0; i < ARRAY_SIZE(limit_table); ++i) {
        if (strcmp(item, limit_table[i].name)) {
            continue;
        }

        if (parse_number(equals + 1, limit_table[i].min, limit_table[i].max,
                         &value)) {
            return FAIL(error, size,
                        "SOFTEFA_LIMITS: %s=" GIVEN " is not a "
                        "number from %u to %u",
                        item, equals + 1, limit_table[i].min,
                        limit_table[i].max);
        }

        field = (uint32_t *)((char *)&options->profile + limit_table[i].offset);
        if (limit_table[i].cap == 0) {
            *field = value;
        } else {
            *field = (*field & ~limit_table[i].cap) |
                     (value * limit_table[i].cap);
        }
        return 0;
    }

    return FAIL(error, size,
                "SOFTEFA_LIMITS: no limit is called " GIVEN
                " (efarun --help lists them)",
                item);
}

static int parse_limits(softefa_options_t *options, const char *text,
                        char *error, size_t size)
{
    char copy[512], *item, *save;
    int ret;

    if (strlen(text) >= sizeof(copy)) {
        return FAIL(error, size,
                    "SOFTEFA_LIMITS is longer than %zu "
                    "characters",
                    sizeof(copy) - 1);
    }

    strcpy(copy, text);
    for (item = strtok_r(copy, ",", &save); item != NULL;
         item = strtok_r(NULL, ",", &save)) {
        ret = parse_limit(options, item, error, size);
        if (ret != 0) {
            return ret;
        }
    }

    return 0;
}

static int parse_faults(softefa_options_t *options, const char *text,
                        char *error, size_t size)
{
    char line[200];
    int ret = softefa_fault_plan_parse(text, &options->faults, line,
                                       sizeof(line));

    if (ret != 0) {
        snprintf(error, size, "softefa: SOFTEFA_FAULTS: %s", line);
    }
    return ret;
}

static int parse_fault_log(softefa_options_t *options, const char *text,
                           char *error, size_t size)
{
    static const char *const names[] = {"none", "counts", "all"};
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); ++i) {
        if (!strcmp(text, names[i])) {
            options->fault_log = i;
            return 0;
        }
    }

    return FAIL(error, size,
                "SOFTEFA_FAULT_LOG=" GIVEN " is not none, counts "
                "or all",
                text);
}

static int parse_switch(bool *on, const char *name, const char *text,
                        char *error, size_t size)
{
    *on = !strcmp(text, "y");
    return (*on || !strcmp(text, "n")) ?
                   0 :
                   FAIL(error, size, "%s=" GIVEN " is not y or n", name, text);
}

static int parse_efadv(softefa_options_t *options, const char *text,
                       char *error, size_t size)
{
    return parse_switch(&options->efadv, "SOFTEFA_EFADV", text, error, size);
}

static int parse_fifo(softefa_options_t *options, const char *text, char *error,
                      size_t size)
{
    return parse_switch(&options->fifo, "SOFTEFA_FIFO", text, error, size);
}

typedef struct {
    const char *name;
    const char *fallback;
    const char *help;

    /* NULL: a number */
    int        (*parse)(softefa_options_t *options, const char *text,
                        char *error, size_t size);
    struct {
        size_t     offset;      /* in softefa_options_t */
        size_t     size;        /* bytes, 4 or 8 */
        uint64_t   min;
        uint64_t   max;
        const char *unit;       /* for an error */
    } number;
} option_t;

#define NUMBER(_field, _min, _max, _unit)                                     \
    .number = {offsetof(softefa_options_t, _field),                           \
               sizeof(((softefa_options_t*)0)->_field), _min, _max, _unit}

/* In the order of parsing: the profile comes before what adjusts it. */
static const option_t option_table[] = {
    {"SOFTEFA_FABRIC", DEFAULT_FABRIC,
     "processes of one user that name the same fabric see each other",
     .parse = parse_fabric},
    {"SOFTEFA_DEVICES", "1", "number of devices, 1 to 16",
     NUMBER(devices, 1, SOFTEFA_MAX_DEVICES, "")},
    {"SOFTEFA_HOST", "0",
     "number in the GIDs of this process's devices, 0 to 65535",
     NUMBER(host, 0, SOFTEFA_MAX_HOST, "")},
    {"SOFTEFA_PROFILE", DEFAULT_PROFILE,
     "device generation, see the table below", .parse = parse_profile},
    {"SOFTEFA_MTU", "", "largest SEND in bytes, 256 to 65535 [8928]",
     NUMBER(profile.max_msg_size, MTU_MIN, MTU_MAX, "of bytes ")},
    {"SOFTEFA_LIMITS", "", "limits to change, as in max_ah=16,max_qp=8",
     .parse = parse_limits},
    {"SOFTEFA_REORDER", "0",
     "hold back up to this many messages and deliver out of order, 0 to 4096",
     NUMBER(reorder, 0, SOFTEFA_MAX_REORDER, "of messages ")},
    {"SOFTEFA_SEED", "1",
     "seed of the device's random choices, a number below 2^64",
     NUMBER(seed, 0, UINT64_MAX, "")},
    {"SOFTEFA_FAULTS", "",
     "fault plan, or @FILE with one (docs/soft-efa.md, \"Faults\")",
     .parse = parse_faults},
    {"SOFTEFA_FAULT_LOG", "none",
     "say how often each rule applied (counts), or each time, too (all)",
     .parse = parse_fault_log},
    {"SOFTEFA_EFADV", "n",
     "answer efadv_query_qp_wqs() and _cq() where libefa lacks them (y)",
     .parse = parse_efadv},
    {"SOFTEFA_FIFO", "y",
     "messages wait for the receiver's poll (y), or the kernel copies them (n)",
     .parse = parse_fifo},
};

static int option_parse_number(const option_t *option,
                               softefa_options_t *options, const char *text,
                               char *error, size_t size)
{
    void *field = (char *)options + option->number.offset;
    uint64_t value;

    if (parse_number(text, option->number.min, option->number.max, &value)) {
        return FAIL(error, size,
                    "%s=" GIVEN " is not a number %sfrom %llu to %llu",
                    option->name, text, option->number.unit,
                    (unsigned long long)option->number.min,
                    (unsigned long long)option->number.max);
    }

    if (option->number.size == sizeof(uint32_t)) {
        *(uint32_t *)field = value;
    } else {
        *(uint64_t *)field = value;
    }
    return 0;
}

static int option_is_known(const char *variable)
{
    size_t i, length;

    for (i = 0; i < ARRAY_SIZE(option_table); ++i) {
        length = strlen(option_table[i].name);
        if (!strncmp(variable, option_table[i].name, length) &&
            (variable[length] == '=')) {
            return 1;
        }
    }

    return 0;
}

int softefa_options_parse(softefa_options_t *options, char *error,
                          size_t error_size)
{
    const char *text;
    char **variable;
    size_t i, length;
    int ret;

    memset(options, 0, sizeof(*options));
    for (i = 0; i < ARRAY_SIZE(option_table); ++i) {
        text = getenv(option_table[i].name);
        if ((text == NULL) || (text[0] == '\0')) {
            text = option_table[i].fallback;
        }
        if (text[0] == '\0') {
            continue;
        }

        ret = (option_table[i].parse != NULL) ?
                      option_table[i].parse(options, text, error, error_size) :
                      option_parse_number(&option_table[i], options, text,
                                          error, error_size);
        if (ret != 0) {
            return ret;
        }
    }

    /* A misspelt option would be a device other than the one asked for. */
    for (variable = environ; *variable != NULL; ++variable) {
        if (!strncmp(*variable, "SOFTEFA_", 8) && !option_is_known(*variable)) {
            length = strcspn(*variable, "=");
            return FAIL(error, error_size,
                        "%.*s is not an option (efarun "
                        "--help lists them)",
                        (int)((length > 60) ? 60 : length), *variable);
        }
    }

    return 0;
}

static softefa_options_t process_options;
static int process_options_valid;

static void process_options_init(void)
{
    char error[256];

    if (softefa_options_parse(&process_options, error, sizeof(error)) == 0) {
        process_options_valid = 1;
    } else {
        fprintf(stderr, "%s\n", error);
    }
}

const softefa_options_t *softefa_options(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, process_options_init);
    return process_options_valid ? &process_options : NULL;
}

void softefa_options_print(FILE *stream)
{
    size_t i;

    fprintf(stream, "Soft-EFA reads these environment variables [default]:\n");
    for (i = 0; i < ARRAY_SIZE(option_table); ++i) {
        fprintf(stream, "  %-17s %s", option_table[i].name,
                option_table[i].help);
        if (option_table[i].fallback[0] != '\0') {
            fprintf(stream, " [%s]", option_table[i].fallback);
        }
        fprintf(stream, "\n");
    }

    fprintf(stream, "Profiles:\n");
    softefa_profile_print(stream);

    fprintf(stream, "Limits:\n");
    for (i = 0; i < ARRAY_SIZE(limit_table); ++i) {
        fprintf(stream, "  %-13s  %u to %u\n", limit_table[i].name,
                limit_table[i].min, limit_table[i].max);
    }
}
