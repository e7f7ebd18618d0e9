/*
 * One interface with many peers, for contrib/scale.sh.
 *
 *   scale.c         the interface under test, and what is measured of it
 *   scale_peers.c   other processes: its peers, PER_PROCESS interfaces each.
 *                   They run only when they are told to, so that nothing that
 *                   is measured depends on them.
 *   scale_uct.c     what both need of UCT
 */
#ifndef SCALE_H
#define SCALE_H

#include <uct/api/uct.h>

#include <stdbool.h>
#include <stdint.h>

#define SCALE_AM_ID   1
#define SCALE_ADDRESS 64u    /* bytes at most, of an address or a key         */
#define SCALE_DOMAINS 16u

typedef struct {
    uint8_t dev[SCALE_ADDRESS], iface[SCALE_ADDRESS];
} scale_address_t;

typedef struct {
    uct_component_h component;
    uct_md_h        md;
    char            device[64];
} scale_domain_t;

/* What a process of peers is told to do; it answers with the same word when it
 * is done */
typedef enum {
    SCALE_TELL,              /* scale_address_t of each                        */
    SCALE_CONNECT,           /* to the scale_address_t that follows            */
    SCALE_MEMORY,            /* tell scale_memory_t                            */
    SCALE_TAKE,              /* progress until `num` have come, ever           */
    SCALE_SEND               /* `num` messages, one from each from `first` on  */
} scale_word_t;

typedef struct {
    uint32_t word, first, num;
} scale_order_t;

/* Of the first peer */
typedef struct {
    uint64_t address;
    uint8_t  key[SCALE_ADDRESS];
} scale_memory_t;

extern scale_domain_t scale_domains[SCALE_DOMAINS];
extern unsigned scale_num_domains;
extern uint64_t scale_got;   /* messages, by all interfaces                    */

void scale_die(const char *what, const char *why);
void scale_check(const char *what, ucs_status_t status);
void *scale_alloc(size_t num, size_t size);

void scale_open(void);       /* all devices */
uct_iface_h scale_iface(const scale_domain_t *domain);
void scale_get_address(uct_iface_h iface, scale_address_t *address);
uct_ep_h scale_connect(uct_iface_h from, const scale_address_t *to);

void scale_put(int fd, const void *data, size_t length);
bool scale_get(int fd, void *data, size_t length); /* false: it has ended */

/* Obeys what comes from fd. */
int scale_peers(int fd, unsigned num);

#endif
