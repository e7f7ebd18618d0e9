/*
 * For programs that go past libefa: where its queues are, and a send entry. Where
 * libefa is too old, Soft-EFA answers (SOFTEFA_EFADV, set by main()).
 */
#ifndef TEST_DEVICE_DIRECT_TEST_H_
#define TEST_DEVICE_DIRECT_TEST_H_

#include "api/softefa_direct.h"
#include "verbs_test.h"

#include <cstring>
#include <dlfcn.h>

namespace device {

/* efadv.h of rdma-core 65 */
struct wq_attr {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;
    uint32_t num_entries;
    uint32_t *doorbell;
    uint32_t max_batch;
    uint16_t caps;
    uint8_t  reserved[2];
};

struct cq_attr {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;
    uint32_t num_entries;
    uint32_t *doorbell;
};

#if HAVE_EFADV_QUERY_QP_WQS
static_assert(sizeof(wq_attr) == sizeof(efadv_wq_attr));
static_assert(sizeof(cq_attr) == sizeof(efadv_cq_attr));
#endif

/* NULL: nobody has it */
template <typename F>
F *find(const char *name)
{
    return (F *)dlsym(RTLD_DEFAULT, name);
}

inline int query_qp(ibv_qp *qp, wq_attr *sq, wq_attr *rq,
                    uint32_t length = sizeof(wq_attr))
{
    return find<int(ibv_qp *, wq_attr *, wq_attr *,
                    uint32_t)>("efadv_query_qp_wqs")(qp, sq, rq, length);
}

inline int query_cq(ibv_cq *cq, cq_attr *attr,
                    uint32_t length = sizeof(cq_attr))
{
    return find<int(ibv_cq *, cq_attr *, uint32_t)>("efadv_query_cq")(cq, attr,
                                                                      length);
}

inline int direct_qp(ibv_qp *qp, softefa_direct_qp_t *direct)
{
    return find<int(ibv_qp *,
                    softefa_direct_qp_t *)>("softefa_direct_qp")(qp, direct);
}

inline int direct_cq(ibv_cq *cq, softefa_direct_cq_t *direct)
{
    return find<int(ibv_cq *,
                    softefa_direct_cq_t *)>("softefa_direct_cq")(cq, direct);
}

/* Entry number count: an inline send of 8 bytes, as the device's documentation has
 * it */
inline void write_send(const wq_attr &sq, uint32_t count, uint16_t qpn,
                       uint16_t ahn, uint64_t data)
{
    std::vector<uint8_t> entry(sq.entry_size);
    uint16_t id = count % sq.num_entries, length = sizeof(data);
    uint32_t qkey = QKEY;
    bool phase    = (count / sq.num_entries) % 2;

    memcpy(&entry[0], &id, sizeof(id));
    entry[2] = 0x80 | 0x20; /* meta, inline; SEND */
    entry[3] = 0x10 | 0x08 | 0x04 | phase;
    memcpy(&entry[4], &qpn, sizeof(qpn));
    memcpy(&entry[6], &length, sizeof(length));
    memcpy(&entry[12], &ahn, sizeof(ahn));
    memcpy(&entry[16], &qkey, sizeof(qkey));
    memcpy(&entry[32], &data, sizeof(data));
    memcpy(sq.buffer + id * sq.entry_size, entry.data(), sq.entry_size);
}

} // namespace device

#endif
