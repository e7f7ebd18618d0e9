/*
 * Options with a range: see efa_config.h.
 */
#include "base/ucx/efa_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Digits, and no more than fit. Returns what is behind them, or NULL. */
static const char *uct_efa_config_number(const char *buf, uint64_t *value)
{
    char *end;

    if (!isdigit((unsigned char)buf[0])) {
        return NULL;
    }

    errno  = 0;
    *value = strtoull(buf, &end, 10);
    return (errno == 0) ? end : NULL;
}

/* The same with a fraction; no exponent, sign, hexadecimal digit or word */
static const char *uct_efa_config_fraction(const char *buf, double *value)
{
    const char *end;
    double unit = 1;

    if (!isdigit((unsigned char)buf[0])) {
        return NULL;
    }

    *value = 0;
    for (end = buf; isdigit((unsigned char)*end); ++end) {
        *value = (*value * 10) + (*end - '0');
    }
    if (*end == '.') {
        for (++end; isdigit((unsigned char)*end); ++end) {
            unit /= 10;
            *value += (*end - '0') * unit;
        }
    }
    return end;
}

static int uct_efa_config_in_range(const uct_efa_config_range_t *range,
                                   uint64_t value)
{
    return (value >= range->min) && (value <= range->max) &&
           (!(range->flags & UCT_EFA_CONFIG_POW2) || ucs_is_pow2(value));
}

int uct_efa_config_read_uint(const char *buf, void *dest, const void *arg)
{
    const uct_efa_config_range_t *range = arg;
    const char *end;
    uint64_t value;

    if ((range->flags & UCT_EFA_CONFIG_INF) &&
        !strcasecmp(buf, UCS_NUMERIC_INF_STR)) {
        *(unsigned *)dest = range->max;
        return 1;
    }

    end = uct_efa_config_number(buf, &value);
    if ((end == NULL) || (*end != '\0') ||
        !uct_efa_config_in_range(range, value)) {
        return 0;
    }

    *(unsigned *)dest = value;
    return 1;
}

int uct_efa_config_read_limit(const char *buf, void *dest, const void *arg)
{
    if (!strcmp(buf, "-1") || !strcasecmp(buf, UCS_NUMERIC_INF_STR)) {
        *(unsigned *)dest = UINT_MAX;
        return 1;
    }

    return uct_efa_config_read_uint(buf, dest, arg);
}

int uct_efa_config_read_size(const char *buf, void *dest, const void *arg)
{
    static const char units[]           = "bkmgtpe";
    const uct_efa_config_range_t *range = arg;
    const char *end, *unit;
    uint64_t value;
    unsigned shift;

    if (!strcasecmp(buf, UCS_NUMERIC_INF_STR) ||
        !strcasecmp(buf, UCS_VALUE_AUTO_STR)) {
        *(size_t *)dest = UCS_MEMUNITS_INF;
        return 1;
    }

    end = uct_efa_config_number(buf, &value);
    if (end == NULL) {
        return 0;
    }

    if (*end != '\0') {
        unit = strchr(units, tolower((unsigned char)*end));
        if (unit == NULL) {
            return 0;
        }

        shift = 10 * (unit - units);
        end += 1 + ((shift > 0) && (tolower((unsigned char)end[1]) == 'b'));
        if ((*end != '\0') || (value > (SIZE_MAX >> shift))) {
            return 0;
        }
        value <<= shift;
    }

    if (!uct_efa_config_in_range(range, value)) {
        return 0;
    }

    *(size_t *)dest = value;
    return 1;
}

int uct_efa_config_read_duration(const char *buf, void *dest, const void *arg)
{
    static const struct {
        const char *name;
        double     sec;
    } units[] = {
        {"", 1}, {"s", 1}, {"m", 60}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}
    };
    const uct_efa_config_range_t *range = arg;
    const char *end;
    double value;
    unsigned i;

    if (!strcasecmp(buf, UCS_NUMERIC_INF_STR)) {
        *(double *)dest = range->max;
        return 1;
    }

    end = uct_efa_config_fraction(buf, &value);
    for (i = 0; (end != NULL) && (i < ucs_static_array_size(units)); ++i) {
        if (!strcmp(end, units[i].name)) {
            value *= units[i].sec;
            if ((value < range->min) || (value > range->max)) {
                return 0;
            }
            *(double *)dest = value;
            return 1;
        }
    }

    return 0;
}

int uct_efa_config_read_factor(const char *buf, void *dest, const void *arg)
{
    const uct_efa_config_range_t *range = arg;
    const char *end;
    double value;

    end = uct_efa_config_fraction(buf, &value);
    if ((end == NULL) || (*end != '\0') || (value < range->min) ||
        (value > range->max)) {
        return 0;
    }

    *(double *)dest = value;
    return 1;
}

int uct_efa_config_write_duration(char *buf, size_t max, const void *src,
                                  const void *arg)
{
    const uct_efa_config_range_t *range = arg;
    double value                        = *(const double *)src;

    if (value >= range->max) {
        return snprintf(buf, max, UCS_NUMERIC_INF_STR);
    }

    return ucs_config_sprintf_time(buf, max, src, arg);
}

static void uct_efa_config_help(char *buf, size_t max, const char *what,
                                const uct_efa_config_range_t *range,
                                const char * or)
{
    snprintf(buf, max, "%s, %" PRIu64 " to %" PRIu64 "%s%s", what, range->min,
             range->max,
             (range->flags & UCT_EFA_CONFIG_POW2) ? ", a power of two" : "",
             or);
}

void uct_efa_config_help_uint(char *buf, size_t max, const void *arg)
{
    const uct_efa_config_range_t *range = arg;

    uct_efa_config_help(buf, max, "number", range,
                        (range->flags & UCT_EFA_CONFIG_INF) ? ", or inf" : "");
}

void uct_efa_config_help_limit(char *buf, size_t max, const void *arg)
{
    uct_efa_config_help(buf, max, "number", arg, ", or -1 for no limit");
}

void uct_efa_config_help_size(char *buf, size_t max, const void *arg)
{
    const uct_efa_config_range_t *range = arg;
    char from[32]                       = "";

    if (range->min > 0) {
        snprintf(from, sizeof(from), ", from %" PRIu64, range->min);
    }
    snprintf(buf, max, "bytes: <number>[b|kb|mb|gb|tb]%s, or inf", from);
}

void uct_efa_config_help_duration(char *buf, size_t max, const void *arg)
{
    uct_efa_config_help(buf, max, "time: <number>[m|s|ms|us|ns]", arg,
                        " s, or inf");
}

void uct_efa_config_help_factor(char *buf, size_t max, const void *arg)
{
    uct_efa_config_help(buf, max, "number", arg, ", with a fraction or not");
}
