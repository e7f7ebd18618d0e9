/*
 * A CLOCK_MONOTONIC that stands where a test sets it, for the whole process,
 * while such an object lives: what a test asks about times is then answered by
 * the test, whatever the machine's uptime and load.
 */
#ifndef TEST_UNIT_FAKE_CLOCK_H_
#define TEST_UNIT_FAKE_CLOCK_H_

#include <cstdint>

class fake_clock {
public:
    explicit fake_clock(uint64_t ns) { set(ns); }
    ~fake_clock();
    fake_clock(const fake_clock&)            = delete;
    fake_clock &operator=(const fake_clock&) = delete;

    void set(uint64_t ns);
};

#endif
