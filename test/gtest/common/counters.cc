#include "counters.h"

#include "tools/reader/stats_reader.h"

#include <climits>
#include <cstring>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace harness {

static unsigned counter_index(const std::string &name)
{
    for (unsigned i = 0; stats_name_iface_counter(i) != nullptr; ++i) {
        if (name == stats_name_iface_counter(i)) {
            return i;
        }
    }
    throw std::runtime_error("no counter " + name);
}

static void found(const char *path, void *arg)
{
    static_cast<std::vector<std::string> *>(arg)->push_back(path);
}

std::map<std::string, uint64_t> counter_by_device(const std::string &name)
{
    unsigned index = counter_index(name);
    std::map<std::string, uint64_t> sums;
    std::vector<std::string> paths;

    stats_find(getpid(), found, &paths);
    for (const std::string &path : paths) {
        char error[256];
        stats_segment_t segment;

        if (stats_read(path.c_str(), &segment, error, sizeof(error)) != 0) {
            throw std::runtime_error(error);
        }
        stats_entry_t entry;
        size_t pos = 0;
        while (stats_entry_next(&segment, EFA_STATS_IFACE, &pos, &entry)) {
            sums[entry.name] += entry.counters[index];
        }
        stats_free(&segment);
    }
    if (paths.empty()) {
        throw std::runtime_error("this process has no segment");
    }
    return sums;
}

uint64_t counter(const std::string &name)
{
    uint64_t sum = 0;

    for (const auto &kv : counter_by_device(name)) {
        sum += kv.second;
    }
    return sum;
}

} // namespace harness
