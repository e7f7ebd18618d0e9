/* Included before all of softefa-pci: its lines for people are made, as they
 * read what the client sent, but not printed. FUZZ_VERBOSE=1 prints them. */
#ifndef FUZZ_PCI_H
#define FUZZ_PCI_H

#define _GNU_SOURCE
#define SOFTEFA_LOG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define softefa_error(_fmt, ...)                                              \
    do {                                                                      \
        char _line[512];                                                      \
        snprintf(_line, sizeof(_line), "softefa: " _fmt "\n", ##__VA_ARGS__); \
        if (getenv("FUZZ_VERBOSE") != NULL) {                                 \
            fputs(_line, stderr);                                             \
        }                                                                     \
    } while (0)

#endif
