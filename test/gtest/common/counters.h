/*
 * The transport's own counters (its segment, src/tools/reader/stats_reader.h), for
 * tests that must know which way the bytes took.
 */
#ifndef TEST_COMMON_COUNTERS_H_
#define TEST_COMMON_COUNTERS_H_

#include <cstdint>
#include <map>
#include <string>

namespace harness {

/* Counter `name` of all interfaces that this process has now, together. Throws
 * if it has no segment or the segment no such counter. */
uint64_t counter(const std::string &name);

/* The same for each device and port, "efa_0:1". */
std::map<std::string, uint64_t> counter_by_device(const std::string &name);

} // namespace harness

#endif
