/*
 * See config_probe.h.
 */
#include "base/ucx/efa_config.h"

#include "config_probe.h"

static const ucs_config_parser_t parsers[] = {
    [CONFIG_PROBE_UINT]     = UCT_EFA_CONFIG_TYPE_UINT(1, 64),
    [CONFIG_PROBE_POW2]     = UCT_EFA_CONFIG_TYPE_UINT_FLAGS(
                                      16, 4096, UCT_EFA_CONFIG_POW2),
    [CONFIG_PROBE_LIMIT]    = UCT_EFA_CONFIG_TYPE_LIMIT,
    [CONFIG_PROBE_SIZE]     = UCT_EFA_CONFIG_TYPE_SIZE(192),
    [CONFIG_PROBE_DURATION] = UCT_EFA_CONFIG_TYPE_DURATION,
    [CONFIG_PROBE_FACTOR]   = UCT_EFA_CONFIG_TYPE_FACTOR(1, 1000)
};

static char buffer[256];

int config_probe_read(config_probe_t type, const char *text, void *dest)
{
    return parsers[type].read(text, dest, parsers[type].arg);
}

const char *config_probe_write(config_probe_t type, const void *value)
{
    parsers[type].write(buffer, sizeof(buffer), value, parsers[type].arg);
    return buffer;
}

const char *config_probe_help(config_probe_t type)
{
    parsers[type].help(buffer, sizeof(buffer), parsers[type].arg);
    return buffer;
}

unsigned config_probe_grow(unsigned grow, unsigned max_bufs, unsigned num)
{
    uct_iface_mpool_config_t config = {.bufs_grow = grow, .max_bufs = max_bufs};

    uct_efa_compat_mpool_limit(&config, num, 8192);
    return config.bufs_grow;
}
