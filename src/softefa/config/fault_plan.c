/*
 * Reading a fault plan. A new action is one line in action_table, a new key one
 * in key_table, and one in key_set() if it is not a number or a word of a list.
 */
#include "config/fault_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

#define FAIL(_error, _size, ...)                                              \
    (snprintf(_error, _size, __VA_ARGS__), EINVAL)

/* Of a word in an error: what would be right must fit behind it */
#define GIVEN "%.60s"

#define MAX_PLAN (64 << 10)                  /* characters of a file */
#define MAX_NS   (1ull << 60)

typedef enum {
    KEY_P, KEY_EVERY, KEY_AFTER, KEY_COUNT, KEY_DEV, KEY_PEER, KEY_PROC,
    KEY_OP, KEY_CODE, KEY_BURST, KEY_US, KEY_FOR, KEY_RETURN, KEY_DEPTH,
    KEY_QP, KEY_PID, KEY_WHAT, KEY_DIST, KEY_AT, KEY_CMD, KEY_ERRNO,
    KEY_VECTOR, KEY_EVENT, NUM_KEYS
} fault_key_t;

#define BIT(_key) (1u << KEY_##_key)

#define SELECTORS                                                             \
    (BIT(P) | BIT(EVERY) | BIT(AFTER) | BIT(COUNT) | BIT(DEV) | BIT(PROC))
#define MESSAGES (SELECTORS | BIT(PEER) | BIT(OP))

/* Keys that an action needs, and those that it may have. */
static const struct {
    const char *name;
    unsigned   required, optional;
} action_table[SOFTEFA_NUM_FAULTS] = {
    [SOFTEFA_FAULT_STATUS]       = {"status", BIT(CODE), MESSAGES},
    [SOFTEFA_FAULT_RNR]          = {"rnr", 0, MESSAGES | BIT(BURST)},
    [SOFTEFA_FAULT_DELAY]        = {"delay", BIT(US), MESSAGES | BIT(DIST)},
    [SOFTEFA_FAULT_DUPLICATE]    = {"duplicate", 0, MESSAGES},
    [SOFTEFA_FAULT_CORRUPT]      = {"corrupt", BIT(WHAT), MESSAGES},
    [SOFTEFA_FAULT_UNREACHABLE]  = {"unreachable", 0, MESSAGES | BIT(FOR)},
    [SOFTEFA_FAULT_UNRESPONSIVE] = {"unresponsive", 0, MESSAGES | BIT(FOR)},
    [SOFTEFA_FAULT_PAUSE]        = {"pause", BIT(FOR), MESSAGES},
    [SOFTEFA_FAULT_FAIL]         = {"fail", BIT(CMD),
                                    SELECTORS | BIT(ERRNO)},
    [SOFTEFA_FAULT_FATAL]        = {"fatal", 0,
                                    MESSAGES | BIT(RETURN) | BIT(EVENT)},
    [SOFTEFA_FAULT_RETURN]       = {"return", BIT(DEV), 0},
    /* the last two for efarun --inject */
    [SOFTEFA_FAULT_QP_ERROR]     = {"qp_error", 0,
                                    MESSAGES | BIT(QP) | BIT(PID)},
    [SOFTEFA_FAULT_KILL]         = {"kill", BIT(AT),
                                    SELECTORS & ~BIT(DEV)},
    [SOFTEFA_FAULT_REORDER]      = {"reorder", BIT(DEPTH),
                                    BIT(DEV) | BIT(PROC)},
    [SOFTEFA_FAULT_LOSE_EVENT]     = {"lose_event", 0, SELECTORS},
    [SOFTEFA_FAULT_LOSE_INTERRUPT] = {"lose_interrupt", 0,
                                      SELECTORS | BIT(VECTOR)},
};

static const char *const point_names[] = {
    [SOFTEFA_POINT_FETCH]        = "fetch",
    [SOFTEFA_POINT_DELIVER]      = "deliver",
    [SOFTEFA_POINT_COMPLETE]     = "complete",
    [SOFTEFA_POINT_LOCKED_ADMIN] = "locked-admin",
    [SOFTEFA_POINT_LOCKED_RQ]    = "locked-rq",
    [SOFTEFA_POINT_LOCKED_CQ]    = "locked-cq",
    [SOFTEFA_NUM_POINTS]         = NULL
};

static const char *const cmd_names[] = {
    [SOFTEFA_CMD_OPEN]      = "open",
    [SOFTEFA_CMD_ALLOC_PD]  = "alloc_pd",
    [SOFTEFA_CMD_CREATE_AH] = "create_ah",
    [SOFTEFA_CMD_REG_MR]    = "reg_mr",
    [SOFTEFA_CMD_CREATE_CQ] = "create_cq",
    [SOFTEFA_CMD_CREATE_QP] = "create_qp",
    [SOFTEFA_CMD_MODIFY_QP] = "modify_qp",
    [SOFTEFA_CMD_QUERY_QP]  = "query_qp",
    [SOFTEFA_CMD_DESTROY]   = "destroy",
    [SOFTEFA_CMD_ANY]       = "any",
    NULL
};

static const char *const what_names[] = {"imm", "payload", NULL};
static const char *const dist_names[] = {"fixed", "uniform", "exp", NULL};
static const char *const event_names[] = {"y", "n", NULL};
static const char *const op_names[]   = {"send", "read", "write", "any", NULL};

static const struct {
    const char *name;
    int        error;
} errno_table[] = {
    {"EPERM", EPERM},   {"ENOENT", ENOENT},   {"EIO", EIO},
    {"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM},   {"EFAULT", EFAULT},
    {"EBUSY", EBUSY},   {"ENODEV", ENODEV},   {"EINVAL", EINVAL},
    {"EMFILE", EMFILE}, {"ENOSPC", ENOSPC},   {"EOPNOTSUPP", EOPNOTSUPP},
};

#define FIELD(_field) offsetof(softefa_fault_rule_t, _field)

/* `names`: the value is one of these; else a number of min to max, or for max
 * MAX_NS a time. */
static const struct {
    const char        *name;
    size_t            offset;
    const char *const *names;
    uint64_t          min, max;
    const char        *expected;
} key_table[NUM_KEYS] = {
    [KEY_P]      = {"p", 0, NULL, 0, 0, "a probability from 0 to 1"},
    [KEY_EVERY]  = {"every", FIELD(every), NULL, 1, UINT32_MAX,
                    "a number from 1"},
    [KEY_AFTER]  = {"after", FIELD(after), NULL, 0, UINT64_MAX - 1,
                    "a number of operations"},
    [KEY_COUNT]  = {"count", FIELD(count), NULL, 1, UINT64_MAX - 1,
                    "a number from 1"},
    [KEY_DEV]    = {"dev", FIELD(dev), NULL, 0, 15, "a device, 0 to 15"},
    [KEY_PEER]   = {"peer", FIELD(peer), NULL, 0, 15, "a device, 0 to 15"},
    [KEY_PROC]   = {"proc", FIELD(proc), NULL, 0, 1023,
                    "the place of a process in the fabric, from 0"},
    [KEY_OP]     = {"op", 0, op_names, 0, 0, "send, read, write or any"},
    [KEY_CODE]   = {"code", FIELD(code), NULL, 1, 15,
                    "a completion status, 1 to 15"},
    [KEY_BURST]  = {"burst", FIELD(burst), NULL, 1, UINT32_MAX,
                    "a number of messages"},
    [KEY_US]     = {"us", FIELD(delay), NULL, 0, 60000000,
                    "microseconds, up to 60000000"},
    [KEY_FOR]    = {"for", FIELD(duration), NULL, 0, MAX_NS,
                    "a time with its unit, as in 20ms"},
    [KEY_RETURN] = {"return", FIELD(back), NULL, 0, MAX_NS,
                    "a time with its unit, as in 50ms"},
    [KEY_EVENT]  = {"event", FIELD(silent), event_names, 0, 0, "y or n"},
    [KEY_DEPTH]  = {"depth", FIELD(depth), NULL, 1, 4096,
                    "a number of messages, 1 to 4096"},
    [KEY_QP]     = {"qp", FIELD(qp), NULL, 1, 65535, "a QP number"},
    [KEY_PID]    = {"pid", FIELD(pid), NULL, 1, INT32_MAX, "a process id"},
    [KEY_WHAT]   = {"what", FIELD(what), what_names, 0, 0, "imm or payload"},
    [KEY_DIST]   = {"dist", FIELD(dist), dist_names, 0, 0,
                    "fixed, uniform or exp"},
    [KEY_AT]     = {"at", FIELD(point), point_names, 0, 0,
                    "fetch, deliver, complete, locked-admin, locked-rq or "
                    "locked-cq"},
    [KEY_CMD]    = {"cmd", FIELD(cmd), cmd_names, 0, 0,
                    "open, alloc_pd, create_ah, reg_mr, create_cq, create_qp, "
                    "modify_qp, query_qp, destroy or any"},
    [KEY_ERRNO]  = {"errno", 0, NULL, 0, 0, "a name as ENOMEM"},
    [KEY_VECTOR] = {"vector", FIELD(vector), NULL, 0, 2047,
                    "a vector of MSI-X, from 0"},
};

const char *softefa_fault_plan_action_name(softefa_fault_t action)
{
    return action_table[action].name;
}

const char *softefa_fault_plan_point_name(softefa_point_t point)
{
    return point_names[point];
}

const char *softefa_fault_plan_cmd_name(softefa_fault_cmd_t cmd)
{
    return cmd_names[cmd];
}

static int parse_number(const char *text, uint64_t *value, char **end)
{
    if ((text[0] < '0') || (text[0] > '9')) {
        return EINVAL;
    }

    errno  = 0;
    *value = strtoull(text, end, 0);
    return errno;
}

/* Digits with a point, in any locale: *value is in units of 2^-32. */
static int parse_chance(const char *text, uint64_t *value)
{
    double number = 0, unit = 1;
    const char *c;
    int point = 0;

    for (c = text; *c != '\0'; ++c) {
        if ((*c == '.') && !point) {
            point = 1;
        } else if ((*c >= '0') && (*c <= '9')) {
            number = (number * 10) + (*c - '0');
            unit *= point ? 10 : 1;
        } else {
            return EINVAL;
        }
    }

    number /= unit;
    *value = number * SOFTEFA_FAULT_SURE;
    return ((c - text <= point) || (c - text > 12) || (number > 1)) ? EINVAL :
                                                                      0;
}

static int parse_time(const char *text, uint64_t *value)
{
    static const struct {
        const char *name;
        uint64_t   ns;
    } unit_table[] = {
        {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}
    };
    char *end;
    size_t i;

    if (parse_number(text, value, &end)) {
        return EINVAL;
    }

    for (i = 0; i < ARRAY_SIZE(unit_table); ++i) {
        if (!strcmp(end, unit_table[i].name) &&
            (*value <= MAX_NS / unit_table[i].ns)) {
            *value *= unit_table[i].ns;
            return 0;
        }
    }

    return EINVAL;
}

static int parse_name(const char *text, const char *const *names, int *value)
{
    int i;

    for (i = 0; names[i] != NULL; ++i) {
        if (!strcmp(text, names[i])) {
            *value = i;
            return 0;
        }
    }

    return EINVAL;
}

static int parse_errno(const char *text, int *value)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(errno_table); ++i) {
        if (!strcmp(text, errno_table[i].name)) {
            *value = errno_table[i].error;
            return 0;
        }
    }

    return EINVAL;
}

static int key_set(softefa_fault_rule_t *rule, fault_key_t key,
                   const char *text)
{
    void *field = (char *)rule + key_table[key].offset;
    uint64_t value;
    char *end;
    int op;

    switch (key) {
    case KEY_P:
        return parse_chance(text, &rule->chance);
    case KEY_ERRNO:
        return parse_errno(text, &rule->error);
    case KEY_OP:
        if (parse_name(text, op_names, &op)) {
            return EINVAL;
        }
        rule->ops = (op == 3) ? SOFTEFA_FAULT_ALL_OPS : (1u << op);
        return 0;
    default:
        break;
    }

    if (key_table[key].names != NULL) {
        return parse_name(text, key_table[key].names, field);
    }

    if (key_table[key].max == MAX_NS) {
        return parse_time(text, field);
    }

    if (parse_number(text, &value, &end) || (*end != '\0') ||
        (value < key_table[key].min) || (value > key_table[key].max)) {
        return EINVAL;
    }

    *(uint64_t *)field = (key == KEY_US) ? (value * 1000) : value;
    return 0;
}

static int parse_word(softefa_fault_rule_t *rule, unsigned number, char *word,
                      char *error, size_t size)
{
    const char *action = action_table[rule->action].name;
    char *equals       = strchr(word, '=');
    unsigned allowed   = action_table[rule->action].required |
                       action_table[rule->action].optional;
    int key;

    if (equals == NULL) {
        return FAIL(error, size, "rule %u (%s): \"" GIVEN "\" is not key=value",
                    number, action, word);
    }

    *equals = '\0';
    for (key = 0; key < NUM_KEYS; ++key) {
        if (!strcmp(word, key_table[key].name)) {
            break;
        }
    }

    if ((key == NUM_KEYS) || !(allowed & (1u << key))) {
        return FAIL(error, size, "rule %u (%s): %s has no key \"" GIVEN "\"",
                    number, action, action, word);
    }

    if (rule->given & (1u << key)) {
        return FAIL(error, size, "rule %u (%s): \"%s\" is there twice", number,
                    action, word);
    }

    rule->given |= 1u << key;
    if (key_set(rule, key, equals + 1)) {
        return FAIL(error, size, "rule %u (%s): %s=" GIVEN " is not %s", number,
                    action, word, equals + 1, key_table[key].expected);
    }

    return 0;
}

static void rule_init(softefa_fault_rule_t *rule)
{
    memset(rule, 0, sizeof(*rule));
    rule->chance   = SOFTEFA_FAULT_SURE;
    rule->every    = 1;
    rule->count    = SOFTEFA_FAULT_UNSET;
    rule->dev      = SOFTEFA_FAULT_ANY;
    rule->peer     = SOFTEFA_FAULT_ANY;
    rule->proc     = SOFTEFA_FAULT_ANY;
    rule->vector   = SOFTEFA_FAULT_ANY;
    rule->ops      = SOFTEFA_FAULT_ALL_OPS;
    rule->burst    = 1;
    rule->duration = SOFTEFA_FAULT_UNSET;
    rule->back     = SOFTEFA_FAULT_UNSET;
    rule->error    = ENOMEM;
}

/* Faults that last, or end something, happen once if nothing says how often. */
static void rule_finish(softefa_fault_rule_t *rule)
{
    switch (rule->action) {
    case SOFTEFA_FAULT_UNREACHABLE:
    case SOFTEFA_FAULT_UNRESPONSIVE:
    case SOFTEFA_FAULT_PAUSE:
    case SOFTEFA_FAULT_FATAL:
    case SOFTEFA_FAULT_QP_ERROR:
    case SOFTEFA_FAULT_KILL:
        if (!(rule->given & (BIT(P) | BIT(EVERY) | BIT(COUNT)))) {
            rule->count = 1;
        }
        break;
    default:
        break;
    }
}

static int parse_rule(char *text, unsigned number, softefa_fault_rule_t *rule,
                      char *error, size_t size)
{
    char *save, *word = strtok_r(text, " \t\r", &save);
    unsigned missing;
    int action, ret;

    rule_init(rule);
    for (action = 0; action < SOFTEFA_NUM_FAULTS; ++action) {
        if (!strcmp(word, action_table[action].name)) {
            break;
        }
    }
    if (action == SOFTEFA_NUM_FAULTS) {
        return FAIL(error, size, "rule %u: no action is called \"" GIVEN "\"",
                    number, word);
    }

    rule->action = action;
    while ((word = strtok_r(NULL, " \t\r", &save)) != NULL) {
        ret = parse_word(rule, number, word, error, size);
        if (ret != 0) {
            return ret;
        }
    }

    missing = action_table[action].required & ~rule->given;
    if (missing != 0) {
        return FAIL(error, size, "rule %u (%s): %s= is missing", number,
                    action_table[action].name,
                    key_table[__builtin_ctz(missing)].name);
    }

    rule_finish(rule);
    return 0;
}

static int parse_text(char *text, softefa_fault_plan_t *plan, char *error,
                      size_t size)
{
    char *line, *rule, *save_line, *save_rule;
    int ret;

    for (line = strtok_r(text, "\n", &save_line); line != NULL;
         line = strtok_r(NULL, "\n", &save_line)) {
        line[strcspn(line, "#")] = '\0';
        for (rule = strtok_r(line, ";", &save_rule); rule != NULL;
             rule = strtok_r(NULL, ";", &save_rule)) {
            if (rule[strspn(rule, " \t\r")] == '\0') {
                continue;
            }

            if (plan->num_rules == SOFTEFA_MAX_RULES) {
                return FAIL(error, size, "more than %d rules",
                            SOFTEFA_MAX_RULES);
            }

            ret = parse_rule(rule, plan->num_rules + 1,
                             &plan->rule[plan->num_rules], error, size);
            if (ret != 0) {
                return ret;
            }
            ++plan->num_rules;
        }
    }

    return 0;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text;
    size_t length;

    if (file == NULL) {
        return NULL;
    }

    text = malloc(MAX_PLAN);
    if (text != NULL) {
        length       = fread(text, 1, MAX_PLAN - 1, file);
        text[length] = '\0';
        if (ferror(file) || !feof(file)) {
            free(text);
            text  = NULL;
            errno = ferror(file) ? EIO : EFBIG;
        }
    }
    fclose(file);
    return text;
}

int softefa_fault_plan_parse(const char *text, softefa_fault_plan_t *plan,
                             char *error, size_t error_size)
{
    char *copy;
    int ret;

    memset(plan, 0, sizeof(*plan));
    copy = (text[0] == '@') ? read_file(text + 1) : strdup(text);
    if (copy == NULL) {
        ret = errno;
        snprintf(error, error_size, "cannot read %s: %s",
                 (text[0] == '@') ? text + 1 : "the plan", strerror(ret));
        return ret;
    }

    ret = parse_text(copy, plan, error, error_size);
    free(copy);
    return ret;
}
