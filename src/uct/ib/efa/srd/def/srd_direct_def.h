/*
 * The device's queues as the transport itself writes and reads them, without
 * libefa: where they are, and how far they have come. Written by
 * queues/srd_direct*; docs/architecture.md, "The direct data path".
 */
#ifndef UCT_SRD_DIRECT_DEF_H
#define UCT_SRD_DIRECT_DEF_H

#include "srd/def/srd_def.h"

/* What Soft-EFA wants to be told, since it does not see a store as a NIC does.
 * func NULL: nobody is to be told. */
typedef struct {
    void (*func)(void *arg);
    void *arg;
} uct_srd_direct_call_t;

/* Send queue: entries in the device's memory, which is mapped write-combining
 * and is never read */
typedef struct {
    uint8_t               *ring;
    volatile uint32_t     *doorbell;
    uct_srd_direct_call_t rung;        /* after the doorbell                  */
    uint32_t              mask;        /* entries - 1                         */
    uint32_t              posted;      /* entries ever written                */
    uint32_t              unrung;      /* of them, since the last doorbell    */
    uint32_t              max_batch;   /* that many may be                    */
    uint8_t               entry_shift; /* 6 or 7: 64 or 128 bytes             */
    uint8_t               round_shift; /* entries = 1 << this                 */
} uct_srd_direct_sq_t;

/* Who has a request id of the receive queue: its descriptor; or, of a free one,
 * which one is free next */
typedef union {
    uct_srd_desc_t        *desc;
    uintptr_t             next;
} uct_srd_direct_id_t;

/* Receive queue: entries in host memory */
typedef struct {
    uint64_t              *ring;       /* two words an entry                  */
    volatile uint32_t     *doorbell;
    uct_srd_direct_id_t   *ids;        /* as many as entries                  */
    uint32_t              free_id;     /* the next one; mask + 1: none        */
    uint32_t              mask;
    uint32_t              posted;
} uct_srd_direct_rq_t;

/* Completion queue: host memory that the device writes */
typedef struct {
    const uint8_t         *next;       /* entry that is awaited               */
    const uint8_t         *ring;
    const uint8_t         *end;
    uint32_t              entry_size;  /* bytes                               */
    uint32_t              phase;       /* of the awaited one, at its place in
                                          the first word                      */
    uint32_t              consumed;    /* entries ever read                   */
    uint32_t              armed_sn;    /* events that were read, modulo 4     */
    volatile uint32_t     *doorbell;   /* NULL: without events it has none    */
    uct_srd_direct_call_t look;        /* before entries are looked at        */
    uct_srd_direct_call_t armed;       /* after the doorbell was armed        */
} uct_srd_direct_cq_t;

typedef struct {
    int                   on;          /* else all goes through libefa        */
    uct_srd_direct_sq_t   sq;
    uct_srd_direct_cq_t   cq;
    uct_srd_direct_rq_t   rq;
} uct_srd_direct_t;

#endif
