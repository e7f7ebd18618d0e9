/* Runs the tests, or is the other process of one (see uct_peer.cc). */
#include "uct_test.h"

#include <cstdlib>

int main(int argc, char **argv)
{
    /* Dead peers are given less time to come back than users give them. */
    setenv("UCX_SRD_GONE_TIMEOUT", "200ms", 0);
    setenv("UCX_SRD_RECOVERY_TIMEOUT", "1s", 0);
    /* And the log says why they fail. */
    setenv("UCX_SRD_FAILURE", "warn", 0);

    if ((argc == 3) && (std::string(argv[1]) == "--peer")) {
        return uct_test::peer_main(atoi(argv[2]));
    }

    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
