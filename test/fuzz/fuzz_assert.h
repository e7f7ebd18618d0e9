/* What must hold in a fuzzed program: it ends with the place and the text. */
#ifndef FUZZ_ASSERT_H
#define FUZZ_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(_condition)                                                     \
    do {                                                                      \
        if (!(_condition)) {                                                  \
            dprintf(2, "BROKEN: %s:%d: %s\n", __FILE__, __LINE__,             \
                    #_condition);                                             \
            abort();                                                          \
        }                                                                     \
    } while (0)

#endif
