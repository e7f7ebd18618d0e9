/*
 * One interface with many peers, for contrib/scale.sh.
 *
 *   scale.c         what of it costs how many instructions
 *   scale_memory.c  what a peer costs in bytes and in time
 *   scale_walk.c    more peers than address handles
 *   scale_incast.c  many senders at once
 *
 *   scale_others.c  the interface under test and, told by it, other processes:
 *   scale_peers.c   its peers. They run only when they are told to, so that
 *                   nothing that is measured depends on them.
 *   scale_uct.c     what both need of UCT
 */
#ifndef SCALE_H
#define SCALE_H

#include "tools/reader/stats_reader.h"

#include <uct/api/uct.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SCALE_AM_ID       1
#define SCALE_ADDRESS     64u   /* bytes at most, of an address or a key       */
#define SCALE_DOMAINS     16u
#define SCALE_MANY        8u    /* fewer than a peer has receive buffers       */
#define SCALE_DATA        56u   /* bytes of a message behind its header        */
#define SCALE_PEERS_FD    3     /* of a process of peers                       */
#define SCALE_PER_PROCESS 2500u /* of 65530 mappings a peer takes some seven   */

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
    SCALE_CONNECT,           /* to the scale_address_t that follows; `first`:
                                number of its first peer                       */
    SCALE_MEMORY,            /* tell scale_memory_t                            */
    SCALE_TAKE,              /* progress until `num` have come, ever           */
    SCALE_SEND,              /* one message from each of `num`, from `first` on */
    SCALE_BURST,             /* SCALE_MANY of each, at once                    */
    SCALE_SAY                /* one with data                                  */
} scale_word_t;

typedef struct {
    uint32_t word, first, num;
} scale_order_t;

/* Of the first peer */
typedef struct {
    uint64_t address;
    uint8_t  key[SCALE_ADDRESS];
} scale_memory_t;

/* -------------------------------------------------------------------- modes */

int scale_memory(const char *program, unsigned num);
int scale_walk(const char *program, unsigned num, unsigned per_process);
int scale_incast(unsigned num);

/* Obeys what comes from fd. */
int scale_peers(int fd, unsigned num);

/* ---------------------------------------------------------- scale_others.c */

typedef struct {
    int      fd;
    pid_t    pid;
    unsigned first, num;     /* peers                                          */
    uint32_t sent;           /* to them, ever                                  */
} scale_process_t;

extern uct_iface_h scale_own;           /* the interface under test            */
extern uct_ep_h *scale_eps;             /* to each peer, made by the mode      */
extern scale_address_t *scale_addresses;
extern unsigned scale_num_peers, scale_per_process, scale_num_processes;
extern scale_process_t *scale_processes;

/* Makes the interface and the peers, which get endpoints. hosts: the devices of
 * each process have other addresses. */
void scale_start(const char *program, unsigned num, unsigned per_process,
                 bool hosts);
void scale_stop(void) __attribute__((noreturn));

void scale_tell(scale_process_t *process, scale_word_t word, unsigned first,
                unsigned num);
/* Its answer; what arrives meanwhile may wait. */
void scale_await(scale_process_t *process, bool progress);
/* They take what was sent to them. */
void scale_drain(bool progress);
/* A message or SCALE_MANY of each of num peers, from `first` on */
void scale_let_send(unsigned first, unsigned num, bool progress);
void scale_let_burst(unsigned first, unsigned num);

/* One message, until it is sent */
void scale_send(unsigned peer, uint64_t header, const void *data,
                unsigned length);
/* Messages both ways, until none of these has to be told who we are */
void scale_meet(unsigned first, unsigned num);

/* Our stats segment; stats_free() */
void scale_segment(stats_segment_t *segment);

/* ------------------------------------------------------------- scale_uct.c */

extern scale_domain_t scale_domains[SCALE_DOMAINS];
extern unsigned scale_num_domains;
extern uint64_t scale_got;   /* messages, by all interfaces                    */

void scale_die(const char *what, const char *why) __attribute__((noreturn));
void scale_check(const char *what, ucs_status_t status);
void *scale_alloc(size_t num, size_t size);

void scale_open(void);       /* all devices */
uct_iface_h scale_iface(const scale_domain_t *domain);
/* Makes its queues small. */
void scale_set_small(void);
void scale_get_address(uct_iface_h iface, scale_address_t *address);
uct_ep_h scale_connect(uct_iface_h from, const scale_address_t *to);

void scale_put(int fd, const void *data, size_t length);
bool scale_get(int fd, void *data, size_t length); /* false: it has ended */

/* A message with data has the number of the peer and how many such there were
 * before it, to or from that one, and SCALE_DATA bytes that follow from both.
 * This process gets those of `num` peers from `first` on, each in order: else it
 * ends. */
uint64_t scale_say(uint32_t peer, uint32_t number, uint8_t data[SCALE_DATA]);
void scale_expect(uint32_t first, uint32_t num);
/* So many each have come. */
void scale_expect_check(uint32_t each);

#endif
