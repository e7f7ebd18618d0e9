/*
 * The fault plan as text and as rules.
 *
 *   plan:  rule { (";" | newline) rule }      "#" to the end of a line: comment
 *   rule:  action { key "=" value }
 *
 *   status code=13 p=0.01 op=send; rnr burst=50 every=1000
 *
 * Which keys an action takes, and which it needs, is in fault_plan.c and in
 * docs/soft-efa.md, "Faults". Needs libc only: efarun reads plans, too.
 */
#ifndef SOFTEFA_FAULT_PLAN_H
#define SOFTEFA_FAULT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SOFTEFA_FAULT_STATUS,
    SOFTEFA_FAULT_RNR,
    SOFTEFA_FAULT_DELAY,
    SOFTEFA_FAULT_DUPLICATE,
    SOFTEFA_FAULT_CORRUPT,
    SOFTEFA_FAULT_UNREACHABLE,
    SOFTEFA_FAULT_UNRESPONSIVE,
    SOFTEFA_FAULT_PAUSE,
    SOFTEFA_FAULT_FAIL,
    SOFTEFA_FAULT_FATAL,
    SOFTEFA_FAULT_RETURN,
    SOFTEFA_FAULT_QP_ERROR,
    SOFTEFA_FAULT_KILL,
    SOFTEFA_FAULT_REORDER,
    SOFTEFA_FAULT_LOSE_EVENT,        /* the last two: softefa-pci */
    SOFTEFA_FAULT_LOSE_INTERRUPT,
    SOFTEFA_NUM_FAULTS
} softefa_fault_t;

/* Where a process may be killed. */
typedef enum {
    SOFTEFA_POINT_FETCH,             /* an entry was read from the SQ */
    SOFTEFA_POINT_DELIVER,           /* copied, no completion yet */
    SOFTEFA_POINT_COMPLETE,          /* delivered, no send completion yet */
    SOFTEFA_POINT_LOCKED_ADMIN,
    SOFTEFA_POINT_LOCKED_RQ,
    SOFTEFA_POINT_LOCKED_CQ,
    SOFTEFA_NUM_POINTS
} softefa_point_t;

/* Commands that may fail. */
typedef enum {
    SOFTEFA_CMD_OPEN,
    SOFTEFA_CMD_ALLOC_PD,
    SOFTEFA_CMD_CREATE_AH,
    SOFTEFA_CMD_REG_MR,
    SOFTEFA_CMD_CREATE_CQ,
    SOFTEFA_CMD_CREATE_QP,
    SOFTEFA_CMD_MODIFY_QP,
    SOFTEFA_CMD_QUERY_QP,
    SOFTEFA_CMD_DESTROY,             /* of anything */
    SOFTEFA_CMD_ANY
} softefa_fault_cmd_t;

typedef enum {
    SOFTEFA_DIST_FIXED,
    SOFTEFA_DIST_UNIFORM,            /* 0 to twice the mean */
    SOFTEFA_DIST_EXP
} softefa_dist_t;

typedef enum {
    SOFTEFA_CORRUPT_IMM,
    SOFTEFA_CORRUPT_PAYLOAD
} softefa_corrupt_t;

enum {
    SOFTEFA_MAX_RULES    = 32,
    SOFTEFA_FAULT_ANY    = -1,       /* device, peer, process */
    SOFTEFA_FAULT_ALL_OPS = 7
};

#define SOFTEFA_FAULT_SURE  (1ull << 32)   /* of `chance` */
#define SOFTEFA_FAULT_UNSET UINT64_MAX     /* of a time or number */

typedef struct {
    softefa_fault_t action;
    unsigned        given;           /* bit per key */

    /* Which operations it is for */
    uint64_t        chance;          /* of 2^32 */
    uint64_t        every, after;    /* operations that the rest selects */
    uint64_t        count;           /* at most so many times */
    int64_t         dev, peer, proc; /* index, or ANY */
    int64_t         vector;          /* of MSI-X, or ANY */
    unsigned        ops;             /* bit per softefa_op_t */

    /* What it does */
    uint64_t        code;            /* status */
    uint64_t        burst;           /* messages in a row */
    uint64_t        delay;           /* ns, mean */
    uint64_t        duration;        /* ns, for= */
    uint64_t        back;            /* ns, return= */
    uint64_t        depth;
    uint64_t        qp;              /* number, 0: any */
    uint64_t        pid;             /* 0: any */
    int             silent;          /* event=n */
    int             what, dist, point, cmd, error;
} softefa_fault_rule_t;

typedef struct {
    unsigned             num_rules;
    softefa_fault_rule_t rule[SOFTEFA_MAX_RULES];
} softefa_fault_plan_t;

/* Reads a plan, or with a leading "@" the file with one. Returns 0, or EINVAL
 * (a file's errno) with one line in error: the rule and the word. */
int softefa_fault_plan_parse(const char *text, softefa_fault_plan_t *plan,
                             char *error, size_t error_size);

const char *softefa_fault_plan_action_name(softefa_fault_t action);
const char *softefa_fault_plan_point_name(softefa_point_t point);
const char *softefa_fault_plan_cmd_name(softefa_fault_cmd_t cmd);

#endif
