/*
 * What a device generation can do: limits and capabilities. Values are those of
 * docs/soft-efa.md, "Options"; those that no public source gives are marked
 * there as assumed.
 */
#ifndef SOFTEFA_PROFILE_H
#define SOFTEFA_PROFILE_H

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

/* Profile `i`, oldest first; NULL: there are no more. */
const softefa_profile_t *softefa_profile_get(unsigned i);

/* NULL: there is none of that name. */
const softefa_profile_t *softefa_profile_find(const char *name);

/* All of them, for people. */
void softefa_profile_print(FILE *stream);

#endif
