/*
 * This process's place in the fabric, and the names that follow from the
 * options. Joining and leaving: membership.c. Picture and rules: fabric.h.
 */
#include "fabric/fabric.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

softefa_fabric_t softefa_fabric = {
    .dir_fd = -1, .lock_fd = -1, .mem_fd = -1
};

/* Of user and fabric name, for the GIDs; 0: not computed yet. */
static _Atomic uint64_t fabric_name_hash;

static uint64_t hash_string(uint64_t hash, const char *text)
{
    for (; *text != '\0'; ++text) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
    }

    return hash;
}

/* Computed once: a process that changes its user keeps its fabric. */
static uint64_t fabric_hash(void)
{
    const softefa_options_t *options = softefa_options();
    uint64_t hash                    = fabric_name_hash;
    char text[32];

    if (hash == 0) {
        snprintf(text, sizeof(text), "%u/", (unsigned)geteuid());
        hash             = hash_string(hash_string(0xcbf29ce484222325ull, text),
                           (options != NULL) ? options->fabric : "");
        fabric_name_hash = hash;
    }

    return hash;
}

/* A link local address as the hardware's: an EUI-64 made from a locally
 * administered MAC, whose last byte is the device's index. Before that, where
 * the hardware has zeros, the host's number. */
static void fabric_gid(unsigned index, unsigned host, uint8_t gid[16])
{
    uint64_t hash = fabric_hash();

    memset(gid, 0, 16);
    gid[0]  = 0xfe;
    gid[1]  = 0x80;
    gid[6]  = host >> 8;
    gid[7]  = host;
    gid[8]  = 0x00; /* 0x02 of the MAC, inverted by EUI-64 */
    gid[9]  = hash >> 24;
    gid[10] = hash >> 32;
    gid[11] = 0xff;
    gid[12] = 0xfe;
    gid[13] = hash >> 40;
    gid[14] = hash >> 48;
    gid[15] = index;
}

void softefa_fabric_gid(unsigned index, uint8_t gid[16])
{
    const softefa_options_t *options = softefa_options();

    fabric_gid(index, (options != NULL) ? options->host : 0, gid);
}

unsigned softefa_fabric_find(const uint8_t gid[16])
{
    uint8_t own[16];

    if (gid[15] >= SOFTEFA_MAX_DEVICES) {
        return SOFTEFA_NO_DEVICE;
    }

    fabric_gid(gid[15], softefa_fabric_host(gid), own);
    return memcmp(gid, own, sizeof(own)) ? SOFTEFA_NO_DEVICE : gid[15];
}

void softefa_fabric_fork_child(void)
{
    fabric_name_hash = 0;
}
