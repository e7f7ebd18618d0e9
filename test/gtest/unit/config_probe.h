/*
 * The types of options (base/ucx/efa_config.h), for C++, which has no designated
 * initializers of that kind.
 */
#ifndef TEST_UNIT_CONFIG_PROBE_H_
#define TEST_UNIT_CONFIG_PROBE_H_

typedef enum {
    CONFIG_PROBE_UINT,                /* 1 to 64 */
    CONFIG_PROBE_POW2,                /* 16 to 4096 */
    CONFIG_PROBE_LIMIT,
    CONFIG_PROBE_SIZE,                /* from 192 */
    CONFIG_PROBE_DURATION,
    CONFIG_PROBE_FACTOR               /* 1 to 1000 */
} config_probe_t;

/* 1: taken, *dest has it; 0: refused */
int config_probe_read(config_probe_t type, const char *text, void *dest);

/* Valid until the next call */
const char *config_probe_write(config_probe_t type, const void *value);
const char *config_probe_help(config_probe_t type);

/* What becomes of BUFS_GROW where num buffers can be needed */
unsigned config_probe_grow(unsigned grow, unsigned max_bufs, unsigned num);

#endif
