#include "fake_clock.h"

#include <atomic>
#include <ctime>
#include <sys/syscall.h>
#include <unistd.h>

static std::atomic<bool>     is_fake;
static std::atomic<uint64_t> fake_ns;

/* In place of libc's: the program's own comes first */
extern "C" int clock_gettime(clockid_t clock, struct timespec *time) noexcept
{
    if (is_fake && (clock == CLOCK_MONOTONIC)) {
        uint64_t ns   = fake_ns;
        time->tv_sec  = ns / 1000000000;
        time->tv_nsec = ns % 1000000000;
        return 0;
    }

    return syscall(SYS_clock_gettime, clock, time);
}

void fake_clock::set(uint64_t ns)
{
    fake_ns = ns;
    is_fake = true;
}

fake_clock::~fake_clock()
{
    is_fake = false;
}
