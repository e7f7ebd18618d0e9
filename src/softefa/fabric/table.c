/*
 * See table.h. Numbers of AHs and QPs are used round robin, as long as there
 * are fresh ones, so that a stale one seldom names somebody else; the others
 * take the lowest free number, so that tables stay small in memory.
 */
#include "fabric/table.h"
#include "base/point.h"
#include "fabric/fabric.h"
#include "fabric/memory.h"
#include "fabric/reap.h"

#include <errno.h>

#define BACK_CHUNK 65536u

typedef struct {
    size_t   base, stride, map;          /* offsets in softefa_shm_dev_t */
    uint32_t size;
    bool     round_robin;
} softefa_kind_info_t;

#define KIND(_name, _size, _round_robin)                                      \
    {offsetof(softefa_shm_dev_t, _name), sizeof(softefa_shm_##_name##_t),     \
     offsetof(softefa_shm_dev_t, _name##_map), _size, _round_robin}

static const softefa_kind_info_t kind_info[SOFTEFA_NUM_KINDS] = {
    [SOFTEFA_KIND_PD] = KIND(pd, SOFTEFA_TABLE_PD, false),
    [SOFTEFA_KIND_AH] = KIND(ah, SOFTEFA_TABLE_AH, true),
    [SOFTEFA_KIND_MR] = KIND(mr, SOFTEFA_TABLE_MR, false),
    [SOFTEFA_KIND_CQ] = KIND(cq, SOFTEFA_TABLE_CQ, false),
    [SOFTEFA_KIND_QP] = KIND(qp, SOFTEFA_TABLE_QP, true),
};

static uint64_t *table_map(softefa_shm_dev_t *dev, softefa_kind_t kind)
{
    return (uint64_t *)((char *)dev + kind_info[kind].map);
}

static softefa_shm_obj_t *table_at(softefa_shm_dev_t *dev, softefa_kind_t kind,
                                   uint32_t index)
{
    return (softefa_shm_obj_t *)((char *)dev + kind_info[kind].base +
                                 (index * kind_info[kind].stride));
}

softefa_shm_obj_t *softefa_table_entry(softefa_shm_dev_t *dev,
                                       softefa_kind_t kind, uint32_t index)
{
    return (index < dev->table[kind].backed) ? table_at(dev, kind, index) :
                                               NULL;
}

void *softefa_table_get(softefa_shm_dev_t *dev, softefa_kind_t kind,
                        uint32_t owner, uint32_t index)
{
    softefa_shm_obj_t *obj = softefa_table_entry(dev, kind, index);

    return ((obj != NULL) && (obj->state >= SOFTEFA_STATE_ALIVE) &&
            (obj->owner == owner)) ?
                   obj :
                   NULL;
}

void softefa_table_rebuild(softefa_shm_dev_t *dev)
{
    uint32_t index;
    uint64_t *map;
    int kind;

    for (kind = 0; kind < SOFTEFA_NUM_KINDS; ++kind) {
        map                    = table_map(dev, kind);
        dev->table[kind].count = 0;
        for (index = 0; index < dev->table[kind].backed; ++index) {
            if (table_at(dev, kind, index)->state == SOFTEFA_STATE_FREE) {
                map[index / 64] &= ~(1ull << (index % 64));
            } else {
                map[index / 64] |= 1ull << (index % 64);
                ++dev->table[kind].count;
            }
        }
        dev->table[kind].next = 0;
    }
}

/* Lowest free number in [from, end), or end. */
static uint32_t table_find(const uint64_t *map, uint32_t from, uint32_t end)
{
    uint64_t word;

    while (from < end) {
        word = ~map[from / 64] >> (from % 64);
        if (word != 0) {
            from += __builtin_ctzll(word);
            return (from < end) ? from : end;
        }
        from = (from / 64 + 1) * 64;
    }

    return end;
}

static int table_back(softefa_shm_dev_t *dev, softefa_kind_t kind,
                      uint32_t index)
{
    const softefa_kind_info_t *info = &kind_info[kind];
    uint32_t count;
    int ret;

    if (index < dev->table[kind].backed) {
        return 0;
    }

    count = (index / (BACK_CHUNK / info->stride) + 1) *
            (BACK_CHUNK / info->stride);
    if (count > info->size) {
        count = info->size;
    }
    ret = softefa_memory_back(softefa_fabric_offset(dev) + info->base,
                              count * info->stride);
    if (ret == 0) {
        dev->table[kind].backed = count;
    }

    return ret;
}

/* The first entries get their memory here: see softefa_table_populate(). */
int softefa_table_init(softefa_shm_dev_t *dev, const softefa_profile_t *profile)
{
    int ret = 0;
    int kind;

    dev->table[SOFTEFA_KIND_PD].limit = profile->max_pd;
    dev->table[SOFTEFA_KIND_AH].limit = profile->max_ah;
    dev->table[SOFTEFA_KIND_MR].limit = profile->max_mr;
    dev->table[SOFTEFA_KIND_CQ].limit = profile->max_cq;
    dev->table[SOFTEFA_KIND_QP].limit = profile->max_qp;
    for (kind = 0; (kind < SOFTEFA_NUM_KINDS) && (ret == 0); ++kind) {
        ret = table_back(dev, kind, 0);
    }

    return ret;
}

void softefa_table_populate(const softefa_shm_dev_t *dev)
{
    uint64_t offset = softefa_fabric_offset(dev);
    int kind;

    softefa_memory_populate(offset, offsetof(softefa_shm_dev_t, pd));
    for (kind = 0; kind < SOFTEFA_NUM_KINDS; ++kind) {
        softefa_memory_populate(offset + kind_info[kind].base, BACK_CHUNK);
    }
}

int softefa_table_alloc(softefa_shm_dev_t *dev, softefa_kind_t kind,
                        uint32_t owner, uint32_t *index_p)
{
    softefa_table_t *table = &dev->table[kind];
    uint64_t *map          = table_map(dev, kind);
    uint32_t end = (kind == SOFTEFA_KIND_QP) ? dev->qp_mask + 1 : table->limit;
    softefa_shm_obj_t *obj;
    uint32_t index;
    int ret;

    if ((table->count >= table->limit) &&
        ((softefa_reap_dead() == 0) || (table->count >= table->limit))) {
        return ENOMEM;
    }

    index = table_find(map, table->next, end);
    if (index == end) {
        index = table_find(map, 0, end);
        if (index == end) {
            return ENOMEM;
        }
    }

    ret = table_back(dev, kind, index);
    if (ret != 0) {
        return ret;
    }

    obj        = table_at(dev, kind, index);
    obj->owner = owner;
    SOFTEFA_POINT("owner");
    obj->state = SOFTEFA_STATE_RESERVED;
    SOFTEFA_POINT("reserved");
    map[index / 64] |= 1ull << (index % 64);
    SOFTEFA_POINT("in map");
    table->next = index + 1;
    ++table->count;
    SOFTEFA_POINT("allocated");
    *index_p = index;
    return 0;
}

void softefa_table_release(softefa_shm_dev_t *dev, softefa_kind_t kind,
                           uint32_t index)
{
    softefa_table_t *table = &dev->table[kind];

    SOFTEFA_POINT("release");
    table_at(dev, kind, index)->state = SOFTEFA_STATE_FREE;
    SOFTEFA_POINT("free");
    table_map(dev, kind)[index / 64] &= ~(1ull << (index % 64));
    SOFTEFA_POINT("not in map");
    --table->count;
    SOFTEFA_POINT("released");
    if (!kind_info[kind].round_robin && (index < table->next)) {
        table->next = index;
    }
}
