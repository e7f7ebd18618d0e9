/*
 * What the kernel refuses: ib_uverbs, then the EFA driver.
 *
 *   command --> uverbs: object, port, flags it does not know    EINVAL
 *           --> driver: masks and data it does not know         EOPNOTSUPP
 *           --> driver: limits, combinations                    EINVAL
 *           --> device (softefa_*_create): tables full          ENOMEM
 *
 * The QP state table is that of SRD; UD differs only in RNR_RETRY.
 */
#define _GNU_SOURCE
#include "kernel/check.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

/* ---- modify and query QP ---- */

#define MODIFY_QP_SUPPORTED                                                   \
    (IBV_QP_STATE | IBV_QP_CUR_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY |           \
     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY | IBV_QP_SQ_PSN |          \
     IBV_QP_RNR_RETRY)

#define QUERY_QP_SUPPORTED                                                    \
    (IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY |           \
     IBV_QP_SQ_PSN | IBV_QP_CAP | IBV_QP_RNR_RETRY)

enum {
    MAX_RNR_RETRY = 7     /* and means: without end */
};

#define STATE(_name) (1 << IBV_QPS_##_name)

static const struct {
    unsigned from;        /* mask of states */
    int      to;
    uint32_t required;
    uint32_t optional;
    uint32_t srd_optional;
} transition_table[] = {
    {STATE(RESET), IBV_QPS_INIT,
     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY, 0, 0},
    {STATE(INIT), IBV_QPS_INIT, 0,
     IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY, 0},
    {STATE(INIT), IBV_QPS_RTR, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY, 0},
    {STATE(RTR), IBV_QPS_RTS, IBV_QP_SQ_PSN, IBV_QP_CUR_STATE | IBV_QP_QKEY,
     IBV_QP_RNR_RETRY},
    {STATE(RTS) | STATE(SQD) | STATE(SQE), IBV_QPS_RTS, 0,
     IBV_QP_CUR_STATE | IBV_QP_QKEY, 0},
    {STATE(RTS), IBV_QPS_SQD, 0, IBV_QP_EN_SQD_ASYNC_NOTIFY, 0},
    {STATE(SQD), IBV_QPS_SQD, 0, IBV_QP_PKEY_INDEX | IBV_QP_QKEY, 0},
    {STATE(RESET) | STATE(INIT) | STATE(RTR) | STATE(RTS) | STATE(SQD) |
     STATE(SQE) | STATE(ERR), IBV_QPS_RESET, 0, 0, 0},
    {STATE(INIT) | STATE(RTR) | STATE(RTS) | STATE(SQD) | STATE(SQE) |
     STATE(ERR), IBV_QPS_ERR, 0, 0, 0},
};

static int check_transition(softefa_qp_type_t type, int from, int to,
                            uint32_t mask)
{
    uint32_t optional;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(transition_table); ++i) {
        if (!(transition_table[i].from & (1 << from)) ||
            (transition_table[i].to != to)) {
            continue;
        }

        optional = transition_table[i].optional | IBV_QP_STATE;
        if (type == SOFTEFA_QP_SRD) {
            optional |= transition_table[i].srd_optional;
        }

        return ((mask & transition_table[i].required) ==
                transition_table[i].required) &&
                               !(mask &
                                 ~(transition_table[i].required | optional)) ?
                       0 :
                       EINVAL;
    }

    return EINVAL;
}

int softefa_check_modify_qp(softefa_qp_type_t type, int state,
                            const softefa_abi_modify_qp_t *cmd)
{
    int from = (cmd->attr_mask & IBV_QP_CUR_STATE) ? cmd->cur_qp_state : state;
    int to   = (cmd->attr_mask & IBV_QP_STATE) ? cmd->qp_state : from;

    if ((from > IBV_QPS_ERR) || (to > IBV_QPS_ERR)) {
        return EINVAL;
    }

    if ((cmd->attr_mask & IBV_QP_PORT) && (cmd->port_num != 1)) {
        return EINVAL; /* by uverbs, before the driver's EOPNOTSUPP */
    }

    if (cmd->attr_mask & ~(uint32_t)MODIFY_QP_SUPPORTED) {
        return EOPNOTSUPP;
    }

    if (check_transition(type, from, to, cmd->attr_mask)) {
        return EINVAL;
    }

    if ((cmd->attr_mask & IBV_QP_PKEY_INDEX) && (cmd->pkey_index != 0)) {
        return EOPNOTSUPP;
    }

    if ((cmd->attr_mask & IBV_QP_RNR_RETRY) &&
        (cmd->rnr_retry > MAX_RNR_RETRY)) {
        return EINVAL; /* by the device */
    }

    return 0;
}

int softefa_check_query_qp(uint32_t attr_mask)
{
    return (attr_mask & ~(uint32_t)QUERY_QP_SUPPORTED) ? EOPNOTSUPP : 0;
}

/* ---- memory ---- */

#define OPTIONAL_ACCESS ((uint32_t)SOFTEFA_ABI_ACCESS_OPTIONAL_RANGE)

/* Flags that have a name. ON_DEMAND ib_uverbs refuses itself, as the device has
 * no such paging, with the driver's errno. */
#define UVERBS_ACCESS                                                         \
    ((uint32_t)(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |            \
                IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC |           \
                IBV_ACCESS_MW_BIND | IBV_ACCESS_ZERO_BASED |                  \
                IBV_ACCESS_ON_DEMAND | IBV_ACCESS_HUGETLB |                   \
                SOFTEFA_ABI_ACCESS_FLUSH))

/* Access flags, and the capability each one needs. */
static const struct {
    uint32_t access;
    uint32_t cap;
} access_table[] = {
    {IBV_ACCESS_LOCAL_WRITE, 0},
    {IBV_ACCESS_REMOTE_READ, SOFTEFA_CAP_RDMA_READ},
    {IBV_ACCESS_REMOTE_WRITE, SOFTEFA_CAP_RDMA_WRITE},
};

static int check_access(const softefa_profile_t *profile, uint32_t *access)
{
    uint32_t given     = *access & ~OPTIONAL_ACCESS;
    uint32_t supported = 0;
    size_t i;

    if ((given & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) &&
        !(given & IBV_ACCESS_LOCAL_WRITE)) {
        return EINVAL;
    }

    if (given & ~UVERBS_ACCESS) {
        return EINVAL;
    }

    for (i = 0; i < ARRAY_SIZE(access_table); ++i) {
        if ((access_table[i].cap == 0) ||
            (profile->caps & access_table[i].cap)) {
            supported |= access_table[i].access;
        }
    }

    *access = given;
    return (given & ~supported) ? EOPNOTSUPP : 0;
}

static int check_range(const softefa_profile_t *profile, uint64_t start,
                       uint64_t length, uint64_t iova)
{
    return ((length == 0) || (start + length < start) ||
            (iova + length < iova) || (length > profile->max_mr_size)) ?
                   EINVAL :
                   0;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* Pinning for writing fails on memory that cannot be written, pinning at all
 * on memory that cannot be read. The first and the last page tell, as a buffer
 * is of one mapping; all of them would bring a large region into memory. */
static int check_protection(uint64_t first, uint64_t last, uint64_t page,
                            bool writable)
{
    int advice = writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    char *end  = (char *)(uintptr_t)last;

    if (madvise((char *)(uintptr_t)first, page, advice) ||
        madvise(end, page, advice)) {
        /* EINVAL: not allowed, or a kernel that knows no such advice */
        if ((errno == EFAULT) ||
            ((errno == EINVAL) && !madvise(end, 0, advice))) {
            return EFAULT;
        }
    }

    return 0;
}

int softefa_check_reg_mr(const softefa_profile_t *profile,
                         const softefa_abi_reg_mr_t *cmd, uint32_t *access)
{
    uint64_t page = sysconf(_SC_PAGESIZE);
    uint64_t first, last;
    int ret;

    if ((cmd->start & (page - 1)) != (cmd->hca_va & (page - 1))) {
        return EINVAL;
    }

    *access = cmd->access_flags;
    ret     = check_access(profile, access);
    if (ret == 0) {
        ret = check_range(profile, cmd->start, cmd->length, cmd->hca_va);
    }
    if (ret != 0) {
        return ret;
    }

    /* The kernel pins the pages; here it is enough that they are mapped. The
     * advice has no effect on memory that is present. */
    first = cmd->start & ~(page - 1);
    last  = (cmd->start + cmd->length + page - 1) & ~(page - 1);
    if (madvise((void *)(uintptr_t)first, last - first, MADV_WILLNEED) &&
        (errno == ENOMEM)) {
        return EFAULT;
    }

    return check_protection(first, last - page, page,
                            *access & IBV_ACCESS_LOCAL_WRITE);
}

/* Flags that ib_uverbs lets through to the driver for a dma-buf. */
#define DMABUF_ACCESS                                                         \
    (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |                        \
     IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC |                     \
     IBV_ACCESS_RELAXED_ORDERING)

int softefa_check_reg_dmabuf(const softefa_profile_t *profile, uint64_t offset,
                             uint64_t length, uint64_t iova, uint32_t *access)
{
    uint64_t page = sysconf(_SC_PAGESIZE);
    int ret;

    if (((offset & (page - 1)) != (iova & (page - 1))) ||
        (*access & ~(uint32_t)DMABUF_ACCESS)) {
        return EINVAL;
    }

    ret = check_access(profile, access);
    return (ret != 0) ? ret : check_range(profile, offset, length, iova);
}

/* ---- queues ---- */

enum {
    CQE_SIZE    = 16,
    CQE_SIZE_EX = 32
};

uint32_t softefa_check_comp_vectors(const softefa_profile_t *profile)
{
    return (profile->caps & SOFTEFA_CAP_CQ_NOTIFICATIONS) ?
                   profile->comp_vectors :
                   1;
}

int softefa_check_create_cq(const softefa_profile_t *profile, uint32_t cqe,
                            uint32_t comp_vector, uint32_t flags,
                            int has_channel, const softefa_abi_create_cq_t *cmd)
{
    uint32_t supported = SOFTEFA_ABI_CQ_WITH_CHANNEL;
    size_t i;

    if ((comp_vector >= softefa_check_comp_vectors(profile)) ||
        (flags & ~(uint32_t)SOFTEFA_ABI_CQ_CREATE_KNOWN)) {
        return EINVAL;
    }

    if (flags != 0) {
        return EOPNOTSUPP;
    }

    if ((cqe == 0) || (cqe > profile->max_cqe)) {
        return EINVAL;
    }

    if (profile->caps & SOFTEFA_CAP_CQ_WITH_SGID) {
        supported |= SOFTEFA_ABI_CQ_WITH_SGID;
    }

    if (cmd->comp_mask != 0) {
        return EOPNOTSUPP;
    }

    if (cmd->flags & ~supported) {
        return EINVAL;
    }

    for (i = 0; i < sizeof(cmd->reserved_58); ++i) {
        if (cmd->reserved_58[i] != 0) {
            return EINVAL;
        }
    }

    if ((cmd->cq_entry_size != CQE_SIZE_EX) &&
        ((cmd->cq_entry_size != CQE_SIZE) ||
         (cmd->flags & SOFTEFA_ABI_CQ_WITH_SGID))) {
        return EINVAL;
    }

    if (cmd->num_sub_cqs != profile->sub_cqs) {
        return EINVAL;
    }

    if (has_channel && !(profile->caps & SOFTEFA_CAP_CQ_NOTIFICATIONS)) {
        return EOPNOTSUPP;
    }

    return 0;
}

unsigned softefa_check_sq_entry_size(const softefa_profile_t *profile,
                                     const softefa_abi_qp_cap_t *cap,
                                     const softefa_abi_create_qp_t *cmd)
{
    return ((profile->inline_size_ex > 0) &&
            (cmd->sq_ring_size == (128ull * cap->max_send_wr))) ?
                   128 :
                   64;
}

int softefa_check_create_qp(const softefa_profile_t *profile, uint32_t qp_type,
                            uint32_t create_flags,
                            const softefa_abi_qp_cap_t *cap,
                            const softefa_abi_create_qp_t *cmd)
{
    bool wide           = softefa_check_sq_entry_size(profile, cap, cmd) == 128;
    uint32_t max_inline = wide ? profile->inline_size_ex : profile->inline_size;
    uint16_t supported  = 0;
    size_t i;

    if (create_flags & ~(uint32_t)SOFTEFA_ABI_QP_CREATE_KNOWN) {
        return EINVAL;
    }

    if ((cmd->sq_ring_size > profile->max_llq_size) ||
        (cap->max_send_wr > profile->max_sq_wr) ||
        (cap->max_recv_wr > profile->max_rq_wr) ||
        (cap->max_send_sge > profile->max_sq_sge) ||
        (cap->max_recv_sge > profile->max_rq_sge) ||
        (cap->max_inline_data > max_inline)) {
        return EINVAL;
    }

    if ((qp_type != SOFTEFA_ABI_QPT_UD) &&
        (qp_type != SOFTEFA_ABI_QPT_DRIVER)) {
        return EOPNOTSUPP;
    }

    if (create_flags & ~(uint32_t)SOFTEFA_ABI_QP_CREATE_SQ_SIG_ALL) {
        return EOPNOTSUPP;
    }

    if (profile->caps & SOFTEFA_CAP_UNSOLICITED_WRITE_RECV) {
        supported |= SOFTEFA_ABI_QP_UNSOLICITED_WRITE_RECV;
    }

    if ((cmd->comp_mask != 0) || (cmd->flags & ~supported)) {
        return EOPNOTSUPP;
    }

    for (i = 0; i < sizeof(cmd->reserved_98); ++i) {
        if (cmd->reserved_98[i] != 0) {
            return EINVAL;
        }
    }

    if ((qp_type == SOFTEFA_ABI_QPT_DRIVER) &&
        (cmd->driver_qp_type != SOFTEFA_ABI_DRIVER_QP_SRD)) {
        return EOPNOTSUPP;
    }

    return 0;
}

int softefa_check_create_ah(const softefa_abi_ah_attr_t *attr)
{
    /* lid, sl, traffic class and the like are ignored by the driver */
    return ((attr->port_num == 1) && attr->is_global &&
            (attr->grh.sgid_index == 0)) ?
                   0 :
                   EINVAL;
}
