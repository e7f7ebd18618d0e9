/*
 * A fault plan in a process, its counters, and orders into a fabric.
 */
#ifndef DEVICE_FAULT_TEST_H
#define DEVICE_FAULT_TEST_H

#include "verbs_test.h"

#include <dlfcn.h>

namespace device {

inline void inject(const std::string &order)
{
    typedef int (*inject_t)(const char *);
    inject_t func = (inject_t)dlsym(RTLD_DEFAULT, "softefa_inject");

    ASSERT_NE(nullptr, func);
    ASSERT_EQ(0, func(order.c_str())) << order;
}

/* How often a rule (from 1) of this process's plan has struck. */
inline uint64_t faults(unsigned rule)
{
    typedef uint64_t (*count_t)(unsigned);
    count_t func = (count_t)dlsym(RTLD_DEFAULT, "softefa_fault_count");

    return (func == nullptr) ? 0 : func(rule);
}

/* A role in a fabric of its own with this plan. */
inline int play_faults(const std::string &role, const std::string &plan,
                       environment env = {})
{
    env.push_back({"SOFTEFA_FABRIC", fresh_fabric()});
    env.push_back({"SOFTEFA_FAULTS", plan});
    return child(role, env).join();
}

} // namespace device

#endif
