/*
 * What a user may choose about Soft-EFA: the SOFTEFA_* environment.
 *
 *   environment --> option table (options.c) --> softefa_options_t
 *                        |                            |
 *                        '--> help of efarun --help   '--> fabric, device
 *
 * The profile says what a device generation can do: limits and capabilities.
 * Values are those of docs/soft-efa.md, "Options"; the ones that no public
 * source gives are marked there as assumed.
 *
 * This pair of files and fault_plan.c need libc only, so that efarun can
 * compile them in.
 */
#ifndef SOFTEFA_OPTIONS_H
#define SOFTEFA_OPTIONS_H

#include "config/fault_plan.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Capability bits as the kernel reports them (EX QUERY_DEVICE, device_caps). */
typedef enum {
    SOFTEFA_CAP_RDMA_READ              = 1 << 0,
    SOFTEFA_CAP_RNR_RETRY              = 1 << 1,
    SOFTEFA_CAP_CQ_NOTIFICATIONS       = 1 << 2,
    SOFTEFA_CAP_CQ_WITH_SGID           = 1 << 3,
    SOFTEFA_CAP_DATA_POLLING_128       = 1 << 4,
    SOFTEFA_CAP_RDMA_WRITE             = 1 << 5,
    SOFTEFA_CAP_UNSOLICITED_WRITE_RECV = 1 << 6
} softefa_cap_t;

enum {
    SOFTEFA_MAX_DEVICES  = 16,
    SOFTEFA_MAX_REORDER  = 4096,
    SOFTEFA_FABRIC_CHARS = 32      /* with the terminating zero */
};

typedef struct {
    const char *name;              /* "efa1" */
    uint16_t   pci_device;         /* 0xefa1; also vendor_part_id and hw_ver */
    uint32_t   link_gbps;          /* port speed, Gb/s */
    uint32_t   max_qp;             /* per device, all processes together */
    uint32_t   max_cq;
    uint32_t   max_cqe;            /* entries per sub-CQ */
    uint32_t   max_ah;
    uint32_t   max_pd;
    uint32_t   max_mr;
    uint64_t   max_mr_size;        /* bytes */
    uint32_t   max_sq_wr;          /* work requests */
    uint32_t   max_rq_wr;          /* descriptors: depth x SGE */
    uint32_t   max_sq_sge;
    uint32_t   max_rq_sge;
    uint32_t   max_rdma_sge;
    uint32_t   max_msg_size;       /* bytes of one SEND, SRD and UD */
    uint32_t   max_rdma_size;      /* bytes of one RDMA read or write */
    uint32_t   inline_size;        /* bytes in a 64-byte WQE */
    uint32_t   inline_size_ex;     /* bytes in a 128-byte WQE, 0: none */
    uint32_t   max_llq_size;       /* bytes */
    uint32_t   max_tx_batch;       /* 64-byte units per doorbell, 0: no limit */
    uint32_t   min_sq_wr;          /* smallest send queue, 0: no limit */
    uint32_t   sub_cqs;            /* rings per CQ */
    uint32_t   comp_vectors;
    uint32_t   caps;               /* softefa_cap_t */
} softefa_profile_t;

/* What is logged about injected faults. */
typedef enum {
    SOFTEFA_FAULT_LOG_NONE,
    SOFTEFA_FAULT_LOG_COUNTS,      /* a line per rule at exit */
    SOFTEFA_FAULT_LOG_ALL          /* and one per fault */
} softefa_fault_log_t;

typedef struct {
    char              fabric[SOFTEFA_FABRIC_CHARS]; /* SOFTEFA_FABRIC */
    unsigned          devices;     /* 1..SOFTEFA_MAX_DEVICES */
    softefa_profile_t profile;     /* after SOFTEFA_LIMITS and SOFTEFA_MTU */
    unsigned          reorder;     /* messages held back at most, 0: in order */
    uint64_t          seed;        /* of all random choices of the device */
    softefa_fault_plan_t faults;
    int               fault_log;   /* softefa_fault_log_t */
} softefa_options_t;

/* Reads the environment. Returns 0, or an errno with one line (no newline) in
 * error that names the variable, its value and what would be right. */
int softefa_options_parse(softefa_options_t *options, char *error,
                          size_t error_size);

/* The options of this process: parsed on first use, then constant. NULL after
 * a wrong value, which is logged once. Any thread. */
const softefa_options_t *softefa_options(void);

/* The table of options, their defaults and the profiles, for people. */
void softefa_options_print(FILE *stream);

#endif
