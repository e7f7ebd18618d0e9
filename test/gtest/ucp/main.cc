/* Runs the tests, or is the other process of one (see ucp_peer.cc). */
#include "ucp_test.h"

#include <cstdlib>
#include <cstring>

int main(int argc, char **argv)
{
    /* AddressSanitizer unmaps memory where UCX does not see it, so that caches
     * of registrations would keep what is gone. */
    if (getenv("VARIANT") && !strcmp(getenv("VARIANT"), "asan")) {
        setenv("UCX_RCACHE_ENABLE", "n", 0);
        setenv("UCX_EFA_RCACHE", "n", 0);
    }

    /* Dead peers are given less time to come back than users give them. */
    setenv("UCX_SRD_GONE_TIMEOUT", "200ms", 0);
    setenv("UCX_SRD_RECOVERY_TIMEOUT", "1s", 0);

    if ((argc == 3) && (std::string(argv[1]) == "--peer")) {
        return ucp_test::peer_main(atoi(argv[2]));
    }

    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
