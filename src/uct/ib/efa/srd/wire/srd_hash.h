/*
 * Hashes of what peers are found by. khash takes the lower bits, so these must
 * depend on all of the key: in a cluster the GIDs of hosts differ in their last
 * bytes, or AH numbers in a few bits, while queue pair numbers are all alike.
 * Plain C, no dependency: the unit tests include it.
 */
#ifndef UCT_SRD_HASH_H
#define UCT_SRD_HASH_H

#include <stdint.h>
#include <string.h>

/* Both halves fold into the lower one; the upper one of the product depends on
 * all of that. */
static inline uint64_t uct_srd_hash_mix(uint64_t value)
{
    value = (value ^ (value >> 32)) * 0x9e3779b97f4a7c15ull;
    return value ^ (value >> 32);
}

/* (AH number, QPN), or an AH number */
static inline uint32_t uct_srd_hash_key(uint32_t key)
{
    return (uint32_t)uct_srd_hash_mix(key);
}

static inline uint32_t uct_srd_hash_ident(const uint8_t gid[16], uint32_t qpn,
                                          uint32_t qkey)
{
    uint64_t subnet, host;

    memcpy(&subnet, gid, sizeof(subnet));
    memcpy(&host, gid + sizeof(subnet), sizeof(host));
    host = uct_srd_hash_mix(uct_srd_hash_mix(host) ^ subnet);
    return (uint32_t)uct_srd_hash_mix(uct_srd_hash_mix(host ^ qpn) ^ qkey);
}

#endif
