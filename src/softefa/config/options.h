/*
 * What a user may choose about Soft-EFA: the SOFTEFA_* environment.
 *
 *   environment --> option table (options.c) --> softefa_options_t
 *                        |                            |
 *                        '--> help of efarun --help   '--> fabric, device
 *
 * The files of config/ need libc only, so that efarun can compile them in.
 */
#ifndef SOFTEFA_OPTIONS_H
#define SOFTEFA_OPTIONS_H

#include "config/fault_plan.h"
#include "config/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    SOFTEFA_MAX_DEVICES  = 16,
    SOFTEFA_MAX_REORDER  = 4096,
    SOFTEFA_MAX_HOST     = 65535,
    SOFTEFA_FABRIC_CHARS = 32      /* with the terminating zero */
};

/* What is logged about injected faults. */
typedef enum {
    SOFTEFA_FAULT_LOG_NONE,
    SOFTEFA_FAULT_LOG_COUNTS,      /* a line per rule at exit */
    SOFTEFA_FAULT_LOG_ALL          /* and one per fault */
} softefa_fault_log_t;

typedef struct {
    char              fabric[SOFTEFA_FABRIC_CHARS]; /* SOFTEFA_FABRIC */
    unsigned          devices;     /* 1..SOFTEFA_MAX_DEVICES */
    unsigned          host;        /* 0..SOFTEFA_MAX_HOST, in the GIDs */
    softefa_profile_t profile;     /* after SOFTEFA_LIMITS and SOFTEFA_MTU */
    unsigned          reorder;     /* messages held back at most, 0: in order */
    uint64_t          seed;        /* of all random choices of the device */
    softefa_fault_plan_t faults;
    int               fault_log;   /* softefa_fault_log_t */
    bool              efadv;       /* answer in place of an older libefa */
    bool              fifo;        /* of a CQ, for what comes in */
} softefa_options_t;

/* Reads the environment. Returns 0, or an errno with one line (no newline) in
 * error that names the variable, its value and what would be right. */
int softefa_options_parse(softefa_options_t *options, char *error,
                          size_t error_size);

/* The options of this process: parsed on first use, then constant. NULL after
 * a wrong value, which is logged once. Any thread. */
const softefa_options_t *softefa_options(void);

/* The table of options, their defaults and the profiles, for people. */
void softefa_options_print(FILE *stream);

#endif
