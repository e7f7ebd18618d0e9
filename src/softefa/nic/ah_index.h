/*
 * Which AH a device handle has for a PD and an address: a hash table of the
 * process that made them, beside the tables of the fabric.
 *
 *     first[hash] --> AH --next--> AH --> none      numbers + 1, 0: none
 *
 * Only that process makes AHs of the handle, so whatever there is was added
 * here. What is here may be gone, released with its device: the caller looks at
 * the fabric's table, which alone is true, and a number that is added again
 * leaves the list where it was. Under dev->ah_lock.
 */
#ifndef SOFTEFA_AH_INDEX_H
#define SOFTEFA_AH_INDEX_H

#include "fabric/layout.h"

#include <string.h>

#define SOFTEFA_AH_INDEX_LISTS 1024u

typedef struct {
    uint32_t next;
    uint16_t list;
    bool     is_in;
} softefa_ah_index_entry_t;

/* Some 512 KB, of which what is used has memory: by calloc() */
typedef struct softefa_ah_index {
    uint32_t                 first[SOFTEFA_AH_INDEX_LISTS];
    softefa_ah_index_entry_t entry[SOFTEFA_TABLE_AH];
} softefa_ah_index_t;

static inline uint16_t softefa_ah_index_list(uint16_t pdn,
                                             const uint8_t gid[16])
{
    uint64_t subnet, host;

    memcpy(&subnet, gid, sizeof(subnet));
    memcpy(&host, gid + sizeof(subnet), sizeof(host));
    host = (host ^ subnet ^ pdn) * 0x9e3779b97f4a7c15ull;
    host = (host ^ (host >> 32)) * 0x9e3779b97f4a7c15ull;
    return (host >> 32) % SOFTEFA_AH_INDEX_LISTS;
}

static inline void softefa_ah_index_remove(softefa_ah_index_t *self,
                                           uint32_t ahn)
{
    softefa_ah_index_entry_t *entry = &self->entry[ahn];
    uint32_t *link                  = &self->first[entry->list];

    if (!entry->is_in) {
        return;
    }

    while (*link != ahn + 1) {
        link = &self->entry[*link - 1].next;
    }
    *link        = entry->next;
    entry->is_in = false;
}

static inline void softefa_ah_index_add(softefa_ah_index_t *self, uint32_t ahn,
                                        uint16_t pdn, const uint8_t gid[16])
{
    softefa_ah_index_entry_t *entry = &self->entry[ahn];

    softefa_ah_index_remove(self, ahn);
    entry->list              = softefa_ah_index_list(pdn, gid);
    entry->next              = self->first[entry->list];
    entry->is_in             = true;
    self->first[entry->list] = ahn + 1;
}

#endif
