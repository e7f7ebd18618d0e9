/*
 * Times as people read them, and the pause between two outputs.
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

const char *srdtool_time_duration(uint64_t ns,
                                  char buffer[SRDTOOL_DURATION_MAX])
{
    uint64_t s = ns / 1000000000u;

    if (ns < 10000) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "ns", ns);
    } else if (ns < 10000000) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "us", ns / 1000);
    } else if (s < 1) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "ms", ns / 1000000);
    } else if (s < 60) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 ".%" PRIu64 "s", s,
                 ns / 100000000u % 10);
    } else if (s < 3600) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "m%02" PRIu64 "s",
                 s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "h%02" PRIu64 "m",
                 s / 3600, s / 60 % 60);
    } else {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "d%02" PRIu64 "h",
                 s / 86400, s / 3600 % 24);
    }
    return buffer;
}

const char *srdtool_time_wall(uint64_t ns, char buffer[SRDTOOL_WALL_MAX])
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm tm;
    size_t length = 0;

    if (ns != 0 && localtime_r(&seconds, &tm) != NULL) {
        length = strftime(buffer, SRDTOOL_WALL_MAX, "%F %T", &tm);
    }
    if (length == 0) {
        snprintf(buffer, SRDTOOL_WALL_MAX, "?");
    } else {
        snprintf(buffer + length, SRDTOOL_WALL_MAX - length, ".%06u",
                 (unsigned)(ns / 1000 % 1000000));
    }
    return buffer;
}

bool srdtool_time_pause(unsigned ms)
{
    struct pollfd out = {.fd = STDOUT_FILENO}; /* errors alone wake us */

    return poll(&out, 1, (ms > INT_MAX) ? INT_MAX : (int)ms) <= 0;
}
