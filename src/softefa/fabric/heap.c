/*
 * The heap of pages for rings and doorbells: first fit on a bit map.
 *
 * All under the admin lock. An extent lies in a table entry, set before the map
 * and cleared after it: so the repair finds every page that is taken.
 */
#include "fabric/heap.h"
#include "base/point.h"
#include "base/util.h"
#include "fabric/fabric.h"
#include "fabric/memory.h"
#include "fabric/reap.h"

#include <errno.h>
#include <string.h>

static uint64_t heap_page_units(void)
{
    return softefa_page_size() / SOFTEFA_HEAP_UNIT;
}

static bool heap_unit_used(uint64_t unit)
{
    return (softefa_fabric.shm->heap_map[unit / 64] >> (unit % 64)) & 1;
}

static void heap_mark(uint64_t first, uint64_t count, bool used)
{
    uint64_t *map = softefa_fabric.shm->heap_map;
    uint64_t unit;

    for (unit = first; unit < first + count; ++unit) {
        if (used) {
            map[unit / 64] |= 1ull << (unit % 64);
        } else {
            map[unit / 64] &= ~(1ull << (unit % 64));
        }
    }
}

/* First fit above `from`. Returns SOFTEFA_HEAP_UNITS if there is none. */
static uint64_t heap_find(uint64_t from, uint64_t count, uint64_t align)
{
    uint64_t unit = from, length;

    while (unit + count <= SOFTEFA_HEAP_UNITS) {
        if ((unit % 64 == 0) &&
            (softefa_fabric.shm->heap_map[unit / 64] == UINT64_MAX)) {
            unit += 64;
            continue;
        }

        for (length = 0; length < count; ++length) {
            if (heap_unit_used(unit + length)) {
                break;
            }
        }
        if (length == count) {
            return unit;
        }

        unit = (unit + length + align) / align * align;
    }

    return SOFTEFA_HEAP_UNITS;
}

int softefa_heap_alloc(softefa_extent_t *extent, uint64_t size)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    uint64_t align     = heap_page_units();
    uint64_t count     = (size + SOFTEFA_HEAP_UNIT - 1) / SOFTEFA_HEAP_UNIT;
    uint64_t unit;
    int ret;

    count = (count + align - 1) / align * align;
    unit  = heap_find(shm->heap_next, count, align);
    if ((unit == SOFTEFA_HEAP_UNITS) && (softefa_reap_dead() > 0)) {
        unit = heap_find(shm->heap_next, count, align);
    }
    if (unit == SOFTEFA_HEAP_UNITS) {
        return ENOMEM;
    }

    extent->offset = SOFTEFA_HEAP_OFFSET + unit * SOFTEFA_HEAP_UNIT;
    SOFTEFA_POINT("extent");
    extent->size = count * SOFTEFA_HEAP_UNIT;
    SOFTEFA_POINT("extent set");
    heap_mark(unit, count, true);
    SOFTEFA_POINT("heap marked");
    if (unit == shm->heap_next) {
        shm->heap_next = unit + count;
    }

    ret = softefa_memory_back(extent->offset, extent->size);
    if (ret != 0) {
        softefa_heap_free(extent);
    }

    return ret;
}

void softefa_heap_free(softefa_extent_t *extent)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    uint64_t unit;

    if (extent->offset == 0) {
        return;
    }

    unit = (extent->offset - SOFTEFA_HEAP_OFFSET) / SOFTEFA_HEAP_UNIT;
    softefa_memory_unback(extent->offset, extent->size);
    SOFTEFA_POINT("unbacked");
    heap_mark(unit, extent->size / SOFTEFA_HEAP_UNIT, false);
    SOFTEFA_POINT("heap unmarked");
    if (unit < shm->heap_next) {
        shm->heap_next = unit;
    }
    extent->offset = 0;
    SOFTEFA_POINT("no extent");
    extent->size = 0;
}

void softefa_heap_clear(void)
{
    memset(softefa_fabric.shm->heap_map, 0,
           sizeof(softefa_fabric.shm->heap_map));
    softefa_fabric.shm->heap_next = 0;
}

void softefa_heap_mark(const softefa_extent_t *extent)
{
    if (extent->offset != 0) {
        heap_mark((extent->offset - SOFTEFA_HEAP_OFFSET) / SOFTEFA_HEAP_UNIT,
                  extent->size / SOFTEFA_HEAP_UNIT, true);
    }
}
