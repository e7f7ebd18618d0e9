/*
 * What holds of an interface while none of its functions is at work
 * (srd/uct/srd_iface_check.c): asked before each one is closed.
 */
#ifndef TEST_UCT_INVARIANTS_H_
#define TEST_UCT_INVARIANTS_H_

#include <string>

extern "C" {
#include <uct/api/uct.h>
}

namespace uct_test {

/* Which one is broken; "": none, or the module does not check: that of a UCX
 * without assertions. */
std::string invariants_broken(uct_iface_h iface);

} // namespace uct_test

#endif
