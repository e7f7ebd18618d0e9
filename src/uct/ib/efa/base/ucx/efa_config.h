/*
 * Types of options with a range: what is not in it is refused where UCX reads
 * the option, with the range in the error, and `ucx_info -f` shows the range.
 *
 *   "RX_BATCH", "32", ..., UCT_EFA_CONFIG_TYPE_UINT(1, 64)
 *        UCX_SRD_RX_BATCH=100 --> Invalid value for RX_BATCH: '100'. Expected:
 *                                 a number, 1 to 64
 *
 * UCX's own types take what sscanf() takes: "3x" is 3, 4294967297 is 1, -1 is
 * the largest number there is, and a time may be negative or no number at all.
 */
#ifndef UCT_EFA_CONFIG_H
#define UCT_EFA_CONFIG_H

#include "base/ucx/ucx_compat.h"

#include <limits.h>

typedef enum {
    UCT_EFA_CONFIG_INF  = UCS_BIT(0), /* "inf" is taken, as the maximum      */
    UCT_EFA_CONFIG_POW2 = UCS_BIT(1)  /* powers of two only                  */
} uct_efa_config_flags_t;

typedef struct {
    uint64_t min, max;                /* both included; seconds of a time    */
    unsigned flags;                   /* uct_efa_config_flags_t              */
} uct_efa_config_range_t;

/* Seconds that "inf" stands for: some 31 years, which neither ticks nor
 * nanoseconds overflow. */
#define UCT_EFA_CONFIG_TIME_INF 1000000000u

#define UCT_EFA_CONFIG_RANGE(_min, _max, _flags) \
    (&(const uct_efa_config_range_t){_min, _max, _flags})

#define UCT_EFA_CONFIG_TYPE(_name, _write, _clone, _min, _max, _flags) \
    { \
        .read    = uct_efa_config_read_##_name, \
        .write   = _write, \
        .clone   = _clone, \
        .release = ucs_config_release_nop, \
        .help    = uct_efa_config_help_##_name, \
        UCT_EFA_CONFIG_DOC \
        .arg     = UCT_EFA_CONFIG_RANGE(_min, _max, _flags) \
    }

/* unsigned */
#define UCT_EFA_CONFIG_TYPE_UINT_FLAGS(_min, _max, _flags) \
    UCT_EFA_CONFIG_TYPE(uint, ucs_config_sprintf_uint, ucs_config_clone_uint, \
                        _min, _max, _flags)
#define UCT_EFA_CONFIG_TYPE_UINT(_min, _max) \
    UCT_EFA_CONFIG_TYPE_UINT_FLAGS(_min, _max, 0)

/* unsigned, from 1; UINT_MAX, written -1 or inf: no limit */
#define UCT_EFA_CONFIG_TYPE_LIMIT \
    UCT_EFA_CONFIG_TYPE(limit, ucs_config_sprintf_int, ucs_config_clone_uint, \
                        1, INT_MAX, 0)

/* size_t, bytes, up to "inf" (SIZE_MAX); "auto" is as "inf" */
#define UCT_EFA_CONFIG_TYPE_SIZE(_min) \
    UCT_EFA_CONFIG_TYPE(size, ucs_config_sprintf_memunits, \
                        ucs_config_clone_ulong, _min, SIZE_MAX, \
                        UCT_EFA_CONFIG_INF)

/* double, seconds, 0 to "inf" (UCT_EFA_CONFIG_TIME_INF) */
#define UCT_EFA_CONFIG_TYPE_DURATION \
    UCT_EFA_CONFIG_TYPE(duration, uct_efa_config_write_duration, \
                        ucs_config_clone_double, 0, UCT_EFA_CONFIG_TIME_INF, \
                        UCT_EFA_CONFIG_INF)

/* double */
#define UCT_EFA_CONFIG_TYPE_FACTOR(_min, _max) \
    UCT_EFA_CONFIG_TYPE(factor, ucs_config_sprintf_double, \
                        ucs_config_clone_double, _min, _max, 0)

/* Functions of ucs_config_parser_t; arg is a uct_efa_config_range_t. Those that
 * read return 1, or 0 for what is not in the range. */
int uct_efa_config_read_uint(const char *buf, void *dest, const void *arg);
int uct_efa_config_read_limit(const char *buf, void *dest, const void *arg);
int uct_efa_config_read_size(const char *buf, void *dest, const void *arg);
int uct_efa_config_read_duration(const char *buf, void *dest, const void *arg);
int uct_efa_config_read_factor(const char *buf, void *dest, const void *arg);

int uct_efa_config_write_duration(char *buf, size_t max, const void *src,
                                  const void *arg);

void uct_efa_config_help_uint(char *buf, size_t max, const void *arg);
void uct_efa_config_help_limit(char *buf, size_t max, const void *arg);
void uct_efa_config_help_size(char *buf, size_t max, const void *arg);
void uct_efa_config_help_duration(char *buf, size_t max, const void *arg);
void uct_efa_config_help_factor(char *buf, size_t max, const void *arg);

#endif
