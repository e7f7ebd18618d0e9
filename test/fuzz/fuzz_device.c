/*
 * libibverbs and libefa with one EFA device of paper (fuzz.h). The signatures
 * are libibverbs' own. Faithful where the transport relies on it:
 *
 *   memory      every SGE must lie in memory registered under its key, when it
 *               is posted and when the device uses it
 *   queues      no more work requests than the queue pair was made for, no more
 *               completions than the CQ has room for
 *   AHs         one number for each, the lowest free one; a completion names the
 *               AH that there was when the message arrived
 *   contexts    each has keys and AHs of its own
 */
#include "fuzz_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#undef ibv_get_device_list
#undef ibv_query_port
#undef ibv_reg_mr

fuzz_device_t fuzz_device;
fuzz_qp_t     fuzz_qps[FUZZ_MAX_QPS];
fuzz_queues_t *fuzz_queues = &fuzz_qps[0].super;
fuzz_ctx_t    *fuzz_ctxs[FUZZ_MAX_CTXS];

static struct ibv_device fuzz_ibv_device;

/* ---- time -------------------------------------------------------------- */

double ucs_get_cpu_clocks_per_sec(void);

double ucs_get_cpu_clocks_per_sec(void)
{
    return 1e9;
}

ucs_time_t fuzz_get_time(void)
{
    return fuzz_device.now += 10;
}

int fuzz_alloc_fails(void)
{
    if ((fuzz_device.alloc_in == 0) || (--fuzz_device.alloc_in > 0)) {
        return 0;
    }

    FUZZ_SAY("    no memory\n");
    fuzz_device.alloc_failed = 1;
    return 1;
}

/* Interposed: identities and epochs are the same in every run, and what is not
 * taken from here is noticed. */
ssize_t getrandom(void *buffer, size_t length, UCS_V_UNUSED unsigned flags)
{
    static const uint8_t bytes[] = {0x3c, 0x91, 0x57, 0xe2,
                                    0x0d, 0xb8, 0x46, 0xfa};
    size_t i;

    for (i = 0; i < length; ++i) {
        ((uint8_t *)buffer)[i] = bytes[i % sizeof(bytes)] + i;
    }
    if (length <= sizeof(fuzz_device.random)) {
        memcpy(fuzz_device.random, buffer, length);
    }
    return length;
}

int fuzz_device_gave(uint32_t value, uint32_t mask)
{
    uint32_t word;
    size_t i;

    for (i = 0; i + sizeof(word) <= sizeof(fuzz_device.random); ++i) {
        memcpy(&word, fuzz_device.random + i, sizeof(word));
        if ((word & mask) == value) {
            return 1;
        }
    }
    return 0;
}

/* ---- device, PD -------------------------------------------------------- */

void fuzz_device_reset(void)
{
    FUZZ_CHECK((fuzz_device.num_ctx == 0) && (fuzz_device.num_pds == 0) &&
                       (fuzz_device.num_mrs == 0) &&
                       (fuzz_device.num_ahs == 0) &&
                       (fuzz_device.num_cqs == 0) && (fuzz_device.num_qps == 0),
               "left on the device: %u contexts, %u PDs, %u MRs, %u AHs, %u "
               "CQs, %u QPs",
               fuzz_device.num_ctx, fuzz_device.num_pds, fuzz_device.num_mrs,
               fuzz_device.num_ahs, fuzz_device.num_cqs, fuzz_device.num_qps);
    memset(&fuzz_device, 0, sizeof(fuzz_device));
    fuzz_device.now = 1000000000;
    fuzz_queues     = &fuzz_qps[0].super;
}

struct ibv_device **ibv_get_device_list(int *num_devices)
{
    struct ibv_device **list = calloc(2, sizeof(*list));

    strcpy(fuzz_ibv_device.name, "fuzz0");
    strcpy(fuzz_ibv_device.dev_name, "uverbs0");
    strcpy(fuzz_ibv_device.ibdev_path, "/nonexistent");
    list[0] = fuzz_device.away ? NULL : &fuzz_ibv_device;
    if (num_devices != NULL) {
        *num_devices = !fuzz_device.away;
    }
    return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
    free(list);
}

const char *ibv_get_device_name(struct ibv_device *device)
{
    return device->name;
}

int ibv_query_device(struct ibv_context *ctx, struct ibv_device_attr *attr)
{
    if (fuzz_command(ctx) != 0) {
        return EIO;
    }

    memset(attr, 0, sizeof(*attr));
    attr->vendor_id      = 0x1d0f;
    attr->vendor_part_id = 0xefa1;
    attr->max_mr_size    = 96ull << 30;
    attr->max_cqe        = FUZZ_MAX_CQES;
    attr->max_ah         = FUZZ_MAX_AHS;
    return 0;
}

int efadv_query_device(struct ibv_context *ctx, struct efadv_device_attr *attr,
                       UCS_V_UNUSED uint32_t inlen)
{
    if (fuzz_command(ctx) != 0) {
        return EIO;
    }

    memset(attr, 0, sizeof(*attr));
    attr->max_sq_wr       = FUZZ_MAX_SENDS;
    attr->max_rq_wr       = FUZZ_MAX_RECVS;
    attr->max_sq_sge      = 2;
    attr->max_rq_sge      = 1;
    attr->inline_buf_size = 32;
    attr->max_rdma_size   = 1 << 20;
    attr->device_caps     = EFADV_DEVICE_ATTR_CAPS_RNR_RETRY |
                        (fuzz_device.has_sgid ?
                                 EFADV_DEVICE_ATTR_CAPS_CQ_WITH_SGID :
                                 0) |
                        (fuzz_device.has_rdma ?
                                 (EFADV_DEVICE_ATTR_CAPS_RDMA_READ | 8) :
                                 0);
    return 0;
}

int ibv_query_port(struct ibv_context *ctx, UCS_V_UNUSED uint8_t port_num,
                   struct _compat_ibv_port_attr *compat)
{
    struct ibv_port_attr *attr = (struct ibv_port_attr *)compat;

    if (fuzz_command(ctx) != 0) {
        return EIO;
    }

    memset(attr, 0, sizeof(*attr));
    attr->state        = IBV_PORT_ACTIVE;
    attr->max_msg_sz   = FUZZ_MAX_MSG;
    attr->active_speed = 32;
    attr->active_width = 2;
    return 0;
}

int ibv_query_gid(struct ibv_context *ctx, UCS_V_UNUSED uint8_t port_num,
                  UCS_V_UNUSED int index, union ibv_gid *gid)
{
    if (fuzz_command(ctx) != 0) {
        return -1;
    }

    memset(gid, 0x5a, sizeof(*gid));
    return 0;
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *ctx)
{
    struct ibv_pd *pd;

    if (fuzz_command(ctx) != 0) {
        return NULL;
    }

    pd          = calloc(1, sizeof(*pd));
    pd->context = ctx;
    ++fuzz_device.num_pds;
    return pd;
}

/* What a device that is gone refuses to free is gone, too. */
int ibv_dealloc_pd(struct ibv_pd *pd)
{
    int ret = fuzz_command(pd->context);

    free(pd);
    --fuzz_device.num_pds;
    return ret;
}

/* ---- memory ------------------------------------------------------------ */

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *address, size_t length,
                                UCS_V_UNUSED uint64_t iova, unsigned access)
{
    fuzz_ctx_t *ctx = fuzz_ctx(pd->context);
    fuzz_mr_t *mr;
    unsigned i;

    if (fuzz_command(pd->context) != 0) {
        return NULL;
    }

    for (i = 0; (i < FUZZ_MAX_MRS) && (ctx->mrs[i] != NULL); ++i) {
    }
    if (i == FUZZ_MAX_MRS) {
        errno = ENOMEM;
        return NULL;
    }

    mr                = calloc(1, sizeof(*mr));
    mr->access        = access;
    mr->super.context = pd->context;
    mr->super.pd      = pd;
    mr->super.addr    = address;
    mr->super.length  = length;
    mr->super.lkey    = ctx->keys + 0x1000 + i;
    mr->super.rkey    = ctx->keys + 0x2000 + i;
    ctx->mrs[i]       = mr;
    ++fuzz_device.num_mrs;
    fuzz_device.reg_bytes += length;
    fuzz_device.reg_peak = ucs_max(fuzz_device.reg_peak, fuzz_device.reg_bytes);
    return &mr->super;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t length,
                          int access)
{
    return ibv_reg_mr_iova2(pd, address, length, (uintptr_t)address, access);
}

struct ibv_mr *ibv_reg_dmabuf_mr(UCS_V_UNUSED struct ibv_pd *pd,
                                 UCS_V_UNUSED uint64_t offset,
                                 UCS_V_UNUSED size_t length,
                                 UCS_V_UNUSED uint64_t iova,
                                 UCS_V_UNUSED int fd, UCS_V_UNUSED int access)
{
    errno = EOPNOTSUPP;
    return NULL;
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
    fuzz_ctx_t *ctx = fuzz_ctx(mr->context);
    int ret         = fuzz_command(mr->context);

    ctx->mrs[mr->lkey - ctx->keys - 0x1000] = NULL;
    --fuzz_device.num_mrs;
    fuzz_device.reg_bytes -= mr->length;
    free(mr);
    return ret;
}

uint32_t fuzz_device_rkey(unsigned choice)
{
    unsigned num = ucs_max(fuzz_device.num_opened, 1u);

    return ((choice % num) << 16) + 0x2000 + (choice / num % 8);
}

static void fuzz_device_check_sge(const fuzz_qp_t *qp,
                                  const struct ibv_sge *sge, int write)
{
    unsigned i    = sge->lkey - qp->ctx->keys - 0x1000;
    fuzz_mr_t *mr = (i < FUZZ_MAX_MRS) ? qp->ctx->mrs[i] : NULL;

    if (qp->ctx->dead) {
        return; /* it looks at nothing any more */
    }

    FUZZ_CHECK(mr != NULL,
               "%u bytes at 0x%" PRIx64 ": nothing is registered "
               "under key 0x%x",
               sge->length, sge->addr, sge->lkey);
    FUZZ_CHECK((sge->addr >= (uintptr_t)mr->super.addr) &&
                       (sge->addr + sge->length <=
                        (uintptr_t)mr->super.addr + mr->super.length),
               "%u bytes at 0x%" PRIx64 " are beyond the memory of key 0x%x",
               sge->length, sge->addr, sge->lkey);
    FUZZ_CHECK(!write || (mr->access & IBV_ACCESS_LOCAL_WRITE),
               "the device may not write to key 0x%x", sge->lkey);
}

/* ---- address handles --------------------------------------------------- */

struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
    fuzz_ctx_t *ctx = fuzz_ctx(pd->context);
    fuzz_ah_t *ah;
    unsigned i;

    if (fuzz_command(pd->context) != 0) {
        return NULL;
    }

    if (attr->grh.dgid.raw[0] == 0) {
        errno = EINVAL;
        return NULL;
    }

    for (i = 0; (i < FUZZ_MAX_AHS) && (ctx->ahs[i] != NULL); ++i) {
    }
    if ((i == FUZZ_MAX_AHS) || (ctx->num_ahs >= fuzz_device.ah_limit)) {
        errno = ENOMEM;
        return NULL;
    }

    ah                = calloc(1, sizeof(*ah));
    ah->super.context = pd->context;
    ah->super.pd      = pd;
    ah->gid           = attr->grh.dgid;
    ah->ahn           = i;
    ctx->ahs[i]       = ah;
    ++ctx->num_ahs;
    ++fuzz_device.num_ahs;
    FUZZ_SAY("    AH %u is made\n", ah->ahn);
    return &ah->super;
}

int ibv_destroy_ah(struct ibv_ah *ibv_ah)
{
    fuzz_ah_t *ah   = ucs_container_of(ibv_ah, fuzz_ah_t, super);
    fuzz_ctx_t *ctx = fuzz_ctx(ibv_ah->context);
    int ret         = fuzz_command(ibv_ah->context);

    FUZZ_CHECK(ctx->ahs[ah->ahn] == ah, "AH %u destroyed twice", ah->ahn);
    FUZZ_SAY("    AH %u is destroyed\n", ah->ahn);
    ctx->ahs[ah->ahn] = NULL;
    --ctx->num_ahs;
    --fuzz_device.num_ahs;
    free(ah);
    return ret;
}

int efadv_query_ah(struct ibv_ah *ibv_ah, struct efadv_ah_attr *attr,
                   UCS_V_UNUSED uint32_t inlen)
{
    /* libefa knows it: no command */
    attr->ahn = ucs_container_of(ibv_ah, fuzz_ah_t, super)->ahn;
    return 0;
}

static unsigned fuzz_device_ahn(const fuzz_qp_t *qp, const uint8_t *gid)
{
    unsigned i;

    for (i = 0; (qp->ctx != NULL) && (i < FUZZ_MAX_AHS); ++i) {
        if ((qp->ctx->ahs[i] != NULL) &&
            (memcmp(qp->ctx->ahs[i]->gid.raw, gid, 16) == 0)) {
            return i;
        }
    }
    return FUZZ_NO_AHN;
}

int fuzz_device_tells(unsigned who)
{
    return fuzz_device_ahn(fuzz_qp_present(), fuzz_who[who].gid) != FUZZ_NO_AHN;
}

/* ---- completions ------------------------------------------------------- */

fuzz_cqe_t *fuzz_cqe_push(fuzz_qp_t *qp, uint64_t wr_id, unsigned status)
{
    fuzz_cqe_t *cqe;

    FUZZ_CHECK(qp->super.num_cqes < (unsigned)qp->cq.cqe,
               "the completion queue overflows: %u", qp->super.num_cqes);
    cqe = &qp->cqes[(qp->cqe_head + qp->super.num_cqes++) % FUZZ_MAX_CQES];
    memset(cqe, 0, sizeof(*cqe));
    cqe->who           = -1;
    cqe->wc.wr_id      = wr_id;
    cqe->wc.vendor_err = status;
    cqe->wc.status     = (status == 0) ? IBV_WC_SUCCESS : IBV_WC_GENERAL_ERR;
    qp->super.num_recv_cqes += !(wr_id & UCT_SRD_WR_ID_SEND);
    return cqe;
}

void fuzz_device_complete_all(fuzz_qp_t *qp)
{
    if (fuzz_device.complete_all && (&qp->super == fuzz_queues)) {
        while (qp->super.num_sends > 0) {
            fuzz_device_complete(0, 0);
        }
    }
}

void fuzz_cqe_count(fuzz_cqe_t *cqe)
{
    if (cqe->who >= 0) {
        ++fuzz_who[cqe->who].sent_to_us;
        cqe->who = -1;
    }
}

fuzz_cqe_t *fuzz_cqe_pull(fuzz_qp_t *qp)
{
    fuzz_cqe_t *cqe;

    fuzz_device_complete_all(qp);
    if (qp->super.num_cqes == 0) {
        fuzz_device.now += fuzz_device.idle_step;
        return NULL;
    }

    cqe          = &qp->cqes[qp->cqe_head];
    qp->cqe_head = (qp->cqe_head + 1) % FUZZ_MAX_CQES;
    --qp->super.num_cqes;
    if (cqe->wc.wr_id & UCT_SRD_WR_ID_SEND) {
        --qp->sq_used;
    } else {
        --qp->super.num_recv_cqes;
        fuzz_cqe_count(cqe);
    }
    return cqe;
}

static fuzz_qp_t *fuzz_qp_of_cq(struct ibv_cq_ex *cq)
{
    return ucs_container_of(cq, fuzz_qp_t, cq);
}

static int fuzz_poll_cq(struct ibv_cq *cq, int max, struct ibv_wc *wc)
{
    fuzz_qp_t *qp = fuzz_qp_of_cq((struct ibv_cq_ex *)cq);
    fuzz_cqe_t *cqe;
    int count;

    for (count = 0; (count < max) && ((cqe = fuzz_cqe_pull(qp)) != NULL);
         ++count) {
        wc[count] = cqe->wc;
    }
    return count;
}

static int fuzz_next_poll(struct ibv_cq_ex *cq)
{
    fuzz_qp_t *qp = fuzz_qp_of_cq(cq);

    qp->current = fuzz_cqe_pull(qp);
    if (qp->current == NULL) {
        return ENOENT;
    }

    cq->wr_id  = qp->current->wc.wr_id;
    cq->status = qp->current->wc.status;
    return 0;
}

static int fuzz_start_poll(struct ibv_cq_ex *cq,
                           UCS_V_UNUSED struct ibv_poll_cq_attr *attr)
{
    return fuzz_next_poll(cq);
}

static void fuzz_end_poll(struct ibv_cq_ex *cq)
{
    fuzz_qp_of_cq(cq)->current = NULL;
}

#define FUZZ_READ(_type, _field) \
    static _type fuzz_read_##_field(struct ibv_cq_ex *cq) \
    { \
        return fuzz_qp_of_cq(cq)->current->wc._field; \
    }

FUZZ_READ(uint32_t, vendor_err)
FUZZ_READ(uint32_t, byte_len)
FUZZ_READ(__be32, imm_data)
FUZZ_READ(uint32_t, src_qp)
FUZZ_READ(unsigned, wc_flags)
FUZZ_READ(uint32_t, slid)

static int fuzz_read_sgid(struct efadv_cq *cq, union ibv_gid *gid)
{
    fuzz_qp_t *qp = ucs_container_of(cq, fuzz_qp_t, cq_efa);

    if (qp->current->wc.slid != FUZZ_NO_AHN) {
        return -1; /* as the device: either the number or the GID */
    }
    *gid = qp->current->gid;
    return 0;
}

struct ibv_cq_ex *efadv_create_cq(struct ibv_context *ctx,
                                  struct ibv_cq_init_attr_ex *attr,
                                  struct efadv_cq_init_attr *efa_attr,
                                  UCS_V_UNUSED uint32_t inlen)
{
    fuzz_qp_t *qp = &fuzz_qps[0];

    if (fuzz_command(ctx) != 0) {
        return NULL;
    }

    while (qp->has_cq) {
        ++qp;
        FUZZ_CHECK(qp < &fuzz_qps[FUZZ_MAX_QPS], "completion queues are left");
    }

    qp->ctx                 = fuzz_ctx(ctx);
    qp->has_cq              = 1;
    qp->cqe_head            = 0;
    qp->current             = NULL;
    qp->super.num_cqes      = 0;
    qp->super.num_recv_cqes = 0;
    memset(&qp->cq, 0, sizeof(qp->cq));
    qp->cq.context          = ctx;
    qp->cq.cqe              = attr->cqe;
    qp->cq.start_poll       = fuzz_start_poll;
    qp->cq.next_poll        = fuzz_next_poll;
    qp->cq.end_poll         = fuzz_end_poll;
    qp->cq.read_vendor_err  = fuzz_read_vendor_err;
    qp->cq.read_byte_len    = fuzz_read_byte_len;
    qp->cq.read_imm_data    = fuzz_read_imm_data;
    qp->cq.read_src_qp      = fuzz_read_src_qp;
    qp->cq.read_wc_flags    = fuzz_read_wc_flags;
    qp->cq.read_slid        = fuzz_read_slid;
    qp->cq_efa.wc_read_sgid = (efa_attr != NULL) ? fuzz_read_sgid : NULL;
    fuzz_direct_create_cq(qp, efa_attr != NULL);
    ++fuzz_device.num_cqs;
    return &qp->cq;
}

static struct ibv_cq_ex *fuzz_create_cq_ex(struct ibv_context *ctx,
                                           struct ibv_cq_init_attr_ex *attr)
{
    return efadv_create_cq(ctx, attr, NULL, 0);
}

struct efadv_cq *efadv_cq_from_ibv_cq_ex(struct ibv_cq_ex *cq)
{
    return &fuzz_qp_of_cq(cq)->cq_efa;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
    fuzz_qp_t *qp = fuzz_qp_of_cq((struct ibv_cq_ex *)cq);
    int ret       = fuzz_command(cq->context);

    FUZZ_CHECK(qp->has_cq && !qp->has_qp, "a completion queue in use");
    qp->super.num_cqes      = 0;
    qp->super.num_recv_cqes = 0;
    qp->has_cq              = 0;
    fuzz_direct_destroy_cq(qp);
    --fuzz_device.num_cqs;
    return ret;
}

/* ---- sends ------------------------------------------------------------- */

fuzz_send_t *fuzz_send_add(fuzz_qp_t *qp)
{
    FUZZ_CHECK(qp->super.num_sends < FUZZ_MAX_SENDS, "sends without bounds");
    FUZZ_CHECK(qp->sq_used < qp->cap.max_send_wr,
               "the send queue of %u overflows", qp->cap.max_send_wr);
    ++qp->sq_used;
    return memset(&qp->super.sends[qp->super.num_sends++], 0,
                  sizeof(fuzz_send_t));
}

/* A dead queue pair swallows what is posted, or gives it back. */
void fuzz_send_lose(fuzz_qp_t *qp, unsigned i, int flush)
{
    fuzz_send_t *send = &qp->super.sends[i];

    if (flush) {
        fuzz_cqe_push(qp, send->wr_id, 1);
    } else {
        ++qp->super.num_lost;
    }

    --qp->super.num_sends;
    memmove(send, send + 1, (qp->super.num_sends - i) * sizeof(*send));
}

void fuzz_send_set_ah(const fuzz_qp_t *qp, fuzz_send_t *send,
                      struct ibv_ah *ibv_ah, uint32_t qpn, uint32_t qkey)
{
    fuzz_ah_t *ah = ucs_container_of(ibv_ah, fuzz_ah_t, super);
    unsigned i;

    for (i = 0; (i < FUZZ_MAX_AHS) && (qp->ctx->ahs[i] != ah); ++i) {
    }
    FUZZ_CHECK(i < FUZZ_MAX_AHS, "a send with an AH that is not there");
    memcpy(send->gid, ah->gid.raw, sizeof(send->gid));
    send->qpn  = qpn;
    send->qkey = qkey;
    FUZZ_CHECK(!(qkey & 0x80000000u), "a privileged QKEY");
}

/* Inline data is copied now, the rest when the device gets to it */
void fuzz_send_set_sges(const fuzz_qp_t *qp, fuzz_send_t *send,
                        const struct ibv_sge *sges, unsigned count,
                        int is_inline)
{
    unsigned i;

    FUZZ_CHECK(count <= qp->cap.max_send_sge, "%u SGEs", count);
    for (i = 0; i < count; ++i) {
        send->sge[i] = sges[i];
        if (is_inline) {
            FUZZ_CHECK(send->length + sges[i].length <= 32, "inline of %u",
                       send->length + sges[i].length);
            memcpy(send->data + send->length, (void *)sges[i].addr,
                   sges[i].length);
        } else {
            fuzz_device_check_sge(qp, &sges[i],
                                  send->opcode == IBV_WR_RDMA_READ);
        }
        send->length += sges[i].length;
    }
    send->num_sge   = count;
    send->is_inline = is_inline;
}

void fuzz_send_posted(fuzz_qp_t *qp)
{
    fuzz_send_t *send = &qp->super.sends[qp->super.num_sends - 1];

    if (qp->super.dead) {
        FUZZ_SAY("    post to a dead queue pair\n");
        fuzz_send_lose(qp, qp->super.num_sends - 1, qp->flush);
    } else if (send->opcode == IBV_WR_SEND_WITH_IMM) {
        FUZZ_CHECK(send->length <= FUZZ_MAX_MSG, "a message of %u bytes",
                   send->length);
        fuzz_check_posted(send);
    }
}

/* A refused post is the end of a peer: never the honest one's, nor of one that
 * it shares a batch with. */
static int fuzz_may_refuse(const struct ibv_send_wr *wr)
{
    if (fuzz_device.refuse == 0) {
        return 0;
    }

    for (; wr != NULL; wr = wr->next) {
        if (fuzz_honest_had(fuzz_who[FUZZ_HONEST].gid, wr->wr.ud.remote_qpn)) {
            return 0;
        }
    }

    --fuzz_device.refuse;
    return 1;
}

static int fuzz_post_send(struct ibv_qp *ibv_qp, struct ibv_send_wr *wr,
                          struct ibv_send_wr **bad)
{
    fuzz_qp_t *qp = fuzz_qp(ibv_qp);
    fuzz_send_t *send;

    for (; wr != NULL; wr = wr->next) {
        if (!qp->super.dead && fuzz_may_refuse(wr)) {
            *bad = wr;
            return ENOMEM;
        }

        FUZZ_CHECK(wr->opcode == IBV_WR_SEND_WITH_IMM, "opcode %d", wr->opcode);
        send         = fuzz_send_add(qp);
        send->wr_id  = wr->wr_id;
        send->opcode = wr->opcode;
        send->imm    = be32toh(wr->imm_data);
        fuzz_send_set_ah(qp, send, wr->wr.ud.ah, wr->wr.ud.remote_qpn,
                         wr->wr.ud.remote_qkey);
        fuzz_send_set_sges(qp, send, wr->sg_list, wr->num_sge,
                           !!(wr->send_flags & IBV_SEND_INLINE));
        fuzz_send_posted(qp);
    }
    return 0;
}

static fuzz_qp_t *fuzz_qp_ex(struct ibv_qp_ex *qp)
{
    return ucs_container_of(qp, fuzz_qp_t, qp);
}

static void fuzz_wr_start(struct ibv_qp_ex *qp_ex)
{
    fuzz_qp_t *qp = fuzz_qp_ex(qp_ex);

    FUZZ_CHECK(qp->building == NULL, "wr_start within wr_start");
    qp->building = fuzz_send_add(qp);
}

static void fuzz_wr_rdma(struct ibv_qp_ex *qp, uint32_t rkey, uint64_t addr,
                         enum ibv_wr_opcode opcode)
{
    fuzz_send_t *send = fuzz_qp_ex(qp)->building;

    send->wr_id       = qp->wr_id;
    send->opcode      = opcode;
    send->rkey        = rkey;
    send->remote_addr = addr;
}

static void fuzz_wr_rdma_read(struct ibv_qp_ex *qp, uint32_t rkey,
                              uint64_t addr)
{
    fuzz_wr_rdma(qp, rkey, addr, IBV_WR_RDMA_READ);
}

static void fuzz_wr_rdma_write(struct ibv_qp_ex *qp, uint32_t rkey,
                               uint64_t addr)
{
    fuzz_wr_rdma(qp, rkey, addr, IBV_WR_RDMA_WRITE);
}

static void fuzz_wr_set_sge(struct ibv_qp_ex *qp_ex, uint32_t lkey,
                            uint64_t addr, uint32_t length)
{
    fuzz_qp_t *qp      = fuzz_qp_ex(qp_ex);
    struct ibv_sge sge = {addr, length, lkey};

    fuzz_send_set_sges(qp, qp->building, &sge, 1, 0);
}

static void fuzz_wr_set_ud_addr(struct ibv_qp_ex *qp_ex, struct ibv_ah *ah,
                                uint32_t qpn, uint32_t qkey)
{
    fuzz_qp_t *qp = fuzz_qp_ex(qp_ex);

    fuzz_send_set_ah(qp, qp->building, ah, qpn, qkey);
}

static int fuzz_wr_complete(struct ibv_qp_ex *qp_ex)
{
    fuzz_qp_t *qp     = fuzz_qp_ex(qp_ex);
    fuzz_send_t *send = qp->building;

    qp->building = NULL;
    if (qp->super.dead) {
        FUZZ_SAY("    operation to a dead queue pair\n");
        fuzz_send_lose(qp, qp->super.num_sends - 1, qp->flush);
    } else if ((fuzz_device.refuse > 0) &&
               !fuzz_honest_had(send->gid, send->qpn)) {
        --fuzz_device.refuse;
        --qp->super.num_sends;
        --qp->sq_used;
        return ENOMEM;
    }
    return 0;
}

static void fuzz_wr_abort(struct ibv_qp_ex *qp_ex)
{
    fuzz_qp_t *qp = fuzz_qp_ex(qp_ex);

    qp->building = NULL;
    --qp->super.num_sends;
    --qp->sq_used;
}

unsigned fuzz_device_gather(const fuzz_send_t *send, uint8_t *out)
{
    unsigned length = 0;
    unsigned i;

    if (send->is_inline) {
        memcpy(out, send->data, send->length);
        return send->length;
    }

    for (i = 0; i < send->num_sge; ++i) {
        fuzz_device_check_sge(fuzz_qp_present(), &send->sge[i], 0);
        memcpy(out + length, (void *)send->sge[i].addr, send->sge[i].length);
        length += send->sge[i].length;
    }
    return length;
}

void fuzz_device_complete(unsigned i, unsigned status)
{
    fuzz_qp_t *qp     = fuzz_qp_present();
    fuzz_send_t *send = &qp->super.sends[i];

    if ((send->opcode != IBV_WR_SEND_WITH_IMM) && (status == 0)) {
        fuzz_device_check_sge(qp, &send->sge[0],
                              send->opcode == IBV_WR_RDMA_READ);
        if (send->opcode == IBV_WR_RDMA_READ) {
            memset((void *)send->sge[0].addr, 0xdd, send->sge[0].length);
        }
    }

    fuzz_cqe_push(qp, send->wr_id, status);
    --qp->super.num_sends;
    memmove(send, send + 1, (qp->super.num_sends - i) * sizeof(*send));
}

/* ---- receives ---------------------------------------------------------- */

int fuzz_recv_add(fuzz_qp_t *qp, uint64_t wr_id, const struct ibv_sge *sge)
{
    unsigned i;

    if (qp->super.num_recvs == qp->cap.max_recv_wr) {
        return ENOMEM;
    }

    fuzz_device_check_sge(qp, sge, 1);
    for (i = 0; i < qp->super.num_recvs; ++i) {
        FUZZ_CHECK((qp->recvs[(qp->recv_head + i) % FUZZ_MAX_RECVS].wr_id !=
                    wr_id) &&
                           (qp->recvs[(qp->recv_head + i) % FUZZ_MAX_RECVS]
                                    .sge.addr != sge->addr),
                   "a receive buffer posted twice");
    }

    i = (qp->recv_head + qp->super.num_recvs++) % FUZZ_MAX_RECVS;
    qp->recvs[i].wr_id = wr_id;
    qp->recvs[i].sge   = *sge;
    if (qp->super.dead && qp->flush) {
        fuzz_recv_error(qp, 1);
    }
    return 0;
}

static int fuzz_post_recv(struct ibv_qp *ibv_qp, struct ibv_recv_wr *wr,
                          struct ibv_recv_wr **bad)
{
    fuzz_qp_t *qp = fuzz_qp(ibv_qp);

    for (; wr != NULL; wr = wr->next) {
        FUZZ_CHECK(wr->num_sge == 1, "%d SGEs", wr->num_sge);
        if (fuzz_recv_add(qp, wr->wr_id, wr->sg_list) != 0) {
            *bad = wr;
            return ENOMEM;
        }
    }
    return 0;
}

void fuzz_recv_drop(fuzz_qp_t *qp)
{
    qp->recv_head = (qp->recv_head + 1) % FUZZ_MAX_RECVS;
    --qp->super.num_recvs;
}

int fuzz_device_deliver(unsigned who, int has_imm, uint32_t imm,
                        const void *data, unsigned length)
{
    fuzz_qp_t *qp = fuzz_qp_present();
    struct ibv_sge *sge;
    fuzz_cqe_t *cqe;

    fuzz_direct_sync();
    if (qp->super.dead || (qp->super.num_recvs == 0)) {
        return 0;
    }

    sge = &qp->recvs[qp->recv_head].sge;
    FUZZ_CHECK(length <= FUZZ_MAX_MSG, "the fuzzer's fault");
    FUZZ_CHECK(length <= sge->length, "a receive buffer of %u bytes",
               sge->length);
    fuzz_device_check_sge(qp, sge, 1);
    memcpy((void *)sge->addr, data, length);

    cqe              = fuzz_cqe_push(qp, qp->recvs[qp->recv_head].wr_id, 0);
    cqe->wc.byte_len = length;
    cqe->wc.wc_flags = has_imm ? IBV_WC_WITH_IMM : 0;
    cqe->wc.imm_data = htobe32(imm);
    cqe->wc.src_qp   = fuzz_who[who].qpn;
    cqe->wc.slid     = fuzz_device_ahn(qp, fuzz_who[who].gid);
    cqe->who         = who;
    memcpy(cqe->gid.raw, fuzz_who[who].gid, sizeof(cqe->gid.raw));
    if (who != FUZZ_HONEST) {
        cqe->odd_flags        = fuzz_device.odd_flags;
        cqe->odd_qpn          = fuzz_device.odd_qpn;
        fuzz_device.odd_flags = 0;
        fuzz_device.odd_qpn   = 0;
    }
    fuzz_recv_drop(qp);
    return 1;
}

void fuzz_recv_error(fuzz_qp_t *qp, unsigned status)
{
    fuzz_cqe_push(qp, qp->recvs[qp->recv_head].wr_id, status);
    fuzz_recv_drop(qp);
}

void fuzz_device_recv_error(void)
{
    fuzz_qp_t *qp = fuzz_qp_present();

    fuzz_direct_sync();
    if ((qp->super.num_recvs > 0) && !qp->super.dead) {
        fuzz_recv_error(qp, 6); /* 1 is a reset */
    }
}

/* ---- queue pairs, contexts --------------------------------------------- */

struct ibv_qp *efadv_create_qp_ex(struct ibv_context *ctx,
                                  struct ibv_qp_init_attr_ex *attr,
                                  UCS_V_UNUSED struct efadv_qp_init_attr *efa,
                                  UCS_V_UNUSED uint32_t inlen)
{
    fuzz_qp_t *qp = fuzz_qp_of_cq((struct ibv_cq_ex *)attr->send_cq);

    if (fuzz_command(ctx) != 0) {
        return NULL;
    }

    FUZZ_CHECK((fuzz_device.num_qps == 0) || fuzz_queues->dead,
               "a second queue pair");
    memset(&qp->qp, 0, sizeof(qp->qp));
    qp->qp.qp_base.context    = ctx;
    qp->qp.qp_base.qp_context = attr->qp_context;
    qp->qp.qp_base.qp_num     = 77 + fuzz_device.num_created++;
    qp->qp.wr_start           = fuzz_wr_start;
    qp->qp.wr_complete        = fuzz_wr_complete;
    qp->qp.wr_abort           = fuzz_wr_abort;
    qp->qp.wr_rdma_read       = fuzz_wr_rdma_read;
    qp->qp.wr_rdma_write      = fuzz_wr_rdma_write;
    qp->qp.wr_set_sge         = fuzz_wr_set_sge;
    qp->qp.wr_set_ud_addr     = fuzz_wr_set_ud_addr;
    qp->cap                   = attr->cap;
    qp->sq_used               = 0;
    qp->recv_head             = 0;
    qp->building              = NULL;
    qp->event                 = 0;
    qp->has_qp                = 1;
    qp->flush                 = 0;
    qp->super.num_sends       = 0;
    qp->super.num_lost        = 0;
    qp->super.num_recvs       = 0;
    qp->super.qpn             = qp->qp.qp_base.qp_num;
    qp->super.dead            = 0;
    fuzz_queues               = &qp->super;
    fuzz_direct_create_qp(qp);
    ++fuzz_device.num_qps;
    return &qp->qp.qp_base;
}

struct ibv_qp_ex *ibv_qp_to_qp_ex(struct ibv_qp *qp)
{
    return ucs_container_of(qp, struct ibv_qp_ex, qp_base);
}

int ibv_modify_qp(struct ibv_qp *qp, UCS_V_UNUSED struct ibv_qp_attr *attr,
                  UCS_V_UNUSED int mask)
{
    return fuzz_command(qp->context);
}

int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr,
                 UCS_V_UNUSED int mask,
                 UCS_V_UNUSED struct ibv_qp_init_attr *init)
{
    attr->qp_state = fuzz_qp(qp)->super.dead ? IBV_QPS_ERR : IBV_QPS_RTS;
    return fuzz_command(qp->context);
}

/* Completions that were written stay in the CQ. */
int ibv_destroy_qp(struct ibv_qp *ibv_qp)
{
    fuzz_qp_t *qp = fuzz_qp(ibv_qp);
    int ret       = fuzz_command(ibv_qp->context);
    unsigned i;

    FUZZ_CHECK(qp->has_qp, "a queue pair destroyed twice");
    fuzz_direct_destroy_qp(qp);
    qp->super.num_sends = 0;
    qp->super.num_lost  = 0;
    qp->super.num_recvs = 0;
    qp->has_qp          = 0;
    qp->event           = 0;
    --fuzz_device.num_qps;
    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        if (fuzz_qps[i].has_qp) {
            fuzz_queues = &fuzz_qps[i].super;
        }
    }
    return ret;
}

struct ibv_context *ibv_open_device(struct ibv_device *device)
{
    struct ibv_context *ctx;
    fuzz_ctx_t *fuzz;
    unsigned i;

    if (fuzz_device.away) {
        errno = ENODEV;
        return NULL;
    }

    for (i = 0; (i < FUZZ_MAX_CTXS) && (fuzz_ctxs[i] != NULL); ++i) {
    }
    FUZZ_CHECK(i < FUZZ_MAX_CTXS, "contexts are left open");

    fuzz_ctxs[i] = fuzz     = calloc(1, sizeof(*fuzz));
    fuzz->keys              = fuzz_device.num_opened++ << 16;
    fuzz->vctx.sz           = sizeof(fuzz->vctx);
    fuzz->vctx.create_cq_ex = fuzz_create_cq_ex;
    ctx                     = &fuzz->vctx.context;
    ctx->abi_compat         = __VERBS_ABI_IS_EXTENDED;
    ctx->device             = device;
    ctx->async_fd           = eventfd(0, EFD_CLOEXEC);
    ctx->ops.poll_cq        = fuzz_poll_cq;
    ctx->ops.post_send      = fuzz_post_send;
    ctx->ops.post_recv      = fuzz_post_recv;
    ++fuzz_device.num_ctx;
    return ctx;
}

int ibv_close_device(struct ibv_context *ctx)
{
    unsigned i;

    for (i = 0; (i < FUZZ_MAX_CTXS) && (fuzz_ctxs[i] != fuzz_ctx(ctx)); ++i) {
    }
    FUZZ_CHECK(i < FUZZ_MAX_CTXS, "a context closed twice");
    fuzz_ctxs[i] = NULL;
    close(ctx->async_fd);
    free(fuzz_ctx(ctx));
    --fuzz_device.num_ctx;
    return 0;
}
