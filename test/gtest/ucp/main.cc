/* Runs the tests, or is the other process of one (see ucp_peer.cc). */
#include "ucp_test.h"

#include <cstdlib>

int main(int argc, char **argv)
{
    if ((argc == 3) && (std::string(argv[1]) == "--peer")) {
        return ucp_test::peer_main(atoi(argv[2]));
    }

    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
