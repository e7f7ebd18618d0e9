/*
 * Makes the device's files, below a directory.
 *
 * Device N is PCI slot 0x1e - N. Links are relative as in the real /sys, so a
 * program that walks them arrives at the PCI device and reads its NUMA node.
 */
#ifndef SOFTEFA_BUILD_H
#define SOFTEFA_BUILD_H

#include "config/options.h"

#include <limits.h>

/* The two lists of devices, below class */
#define SOFTEFA_LIST_IB    "infiniband"
#define SOFTEFA_LIST_VERBS "infiniband_verbs"

enum {
    SOFTEFA_UVERBS_MAJOR   = 231,
    SOFTEFA_UVERBS_MINOR   = 192,    /* of uverbs0 */
    SOFTEFA_PCI_FIRST_SLOT = 0x1e
};

typedef struct {
    int  status;             /* first error, 0: none */
    char root[PATH_MAX / 4]; /* of the tree that is being made */
} softefa_build_t;

__attribute__((format(printf, 2, 3)))
void softefa_build_dir(softefa_build_t *builder, const char *format, ...);
void softefa_build_device(softefa_build_t *builder,
                          const softefa_profile_t *profile, unsigned i);

/* Devices that are alive, in the directory `dir` below class */
void softefa_build_list(softefa_build_t *builder,
                        const softefa_options_t *options, const char *name,
                        const char *dir);

#endif
