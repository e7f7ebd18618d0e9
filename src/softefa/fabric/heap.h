/* The heap of the fabric's memory: pages for rings and doorbells. */
#ifndef SOFTEFA_HEAP_H
#define SOFTEFA_HEAP_H

#include "fabric/layout.h"

/* Under the admin lock: extent->size bytes (rounded up) of zeroed memory. The
 * extent must be part of a table entry: the repair finds it there. */
int  softefa_heap_alloc(softefa_extent_t *extent, uint64_t size);
void softefa_heap_free(softefa_extent_t *extent);

/* For repair: all free; then mark what entries hold. */
void softefa_heap_clear(void);
void softefa_heap_mark(const softefa_extent_t *extent);

#endif
