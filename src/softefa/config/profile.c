/* The profile table: adding a generation is one entry. */
#include "config/profile.h"

#include <stddef.h>
#include <strings.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

#define GIB (1ull << 30)

/* 0xefa1 is the only generation of which a full set of limits is public; the
 * others start from it and name what is known, or assumed, to differ. */
#define PROFILE_EFA1_LIMITS                                                   \
    .max_qp = 256, .max_cq = 512, .max_cqe = 32768, .max_ah = 1024,           \
    .max_pd = 256, .max_mr = 262144, .max_mr_size = 96 * GIB,                 \
    .max_sq_wr = 4096, .max_rq_wr = 32768, .max_sq_sge = 2, .max_rq_sge = 3,  \
    .max_rdma_sge = 1, .max_msg_size = 8928, .max_rdma_size = 1 * GIB,        \
    .inline_size = 32, .max_llq_size = 4096 * 64, .comp_vectors = 8

#define CAPS_BASE                                                             \
    (SOFTEFA_CAP_RDMA_READ | SOFTEFA_CAP_RNR_RETRY | SOFTEFA_CAP_CQ_WITH_SGID)

static const softefa_profile_t profile_table[] = {
    {PROFILE_EFA1_LIMITS, .name = "efa0", .pci_device = 0xefa0,
     .link_gbps = 100, .sub_cqs = 2, .caps = CAPS_BASE},
    {PROFILE_EFA1_LIMITS, .name = "efa1", .pci_device = 0xefa1,
     .link_gbps = 100, .sub_cqs = 1,
     .caps = CAPS_BASE | SOFTEFA_CAP_CQ_NOTIFICATIONS |
             SOFTEFA_CAP_RDMA_WRITE | SOFTEFA_CAP_DATA_POLLING_128},
    {PROFILE_EFA1_LIMITS, .name = "efa2", .pci_device = 0xefa2,
     .link_gbps = 200, .sub_cqs = 1, .max_tx_batch = 16,
     .caps = CAPS_BASE | SOFTEFA_CAP_CQ_NOTIFICATIONS |
             SOFTEFA_CAP_RDMA_WRITE | SOFTEFA_CAP_UNSOLICITED_WRITE_RECV},
    {PROFILE_EFA1_LIMITS, .name = "efa3", .pci_device = 0xefa3,
     .link_gbps = 400, .sub_cqs = 1, .max_tx_batch = 16, .min_sq_wr = 32,
     .caps = CAPS_BASE | SOFTEFA_CAP_CQ_NOTIFICATIONS |
             SOFTEFA_CAP_RDMA_WRITE | SOFTEFA_CAP_UNSOLICITED_WRITE_RECV},
    {PROFILE_EFA1_LIMITS, .name = "efa4", .pci_device = 0xefa4,
     .link_gbps = 400, .sub_cqs = 1, .max_tx_batch = 16, .min_sq_wr = 32,
     .inline_size_ex = 80,
     .caps = CAPS_BASE | SOFTEFA_CAP_CQ_NOTIFICATIONS |
             SOFTEFA_CAP_RDMA_WRITE | SOFTEFA_CAP_UNSOLICITED_WRITE_RECV},
};

const softefa_profile_t *softefa_profile_get(unsigned i)
{
    return (i < ARRAY_SIZE(profile_table)) ? &profile_table[i] : NULL;
}

const softefa_profile_t *softefa_profile_find(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(profile_table); ++i) {
        if (!strcasecmp(name, profile_table[i].name)) {
            return &profile_table[i];
        }
    }

    return NULL;
}

void softefa_profile_print(FILE *stream)
{
    static const struct {
        softefa_cap_t cap;
        const char    *name;
    } cap_table[] = {
        {SOFTEFA_CAP_RDMA_READ, "read"},
        {SOFTEFA_CAP_RDMA_WRITE, "write"},
        {SOFTEFA_CAP_RNR_RETRY, "rnr"},
        {SOFTEFA_CAP_CQ_NOTIFICATIONS, "events"},
        {SOFTEFA_CAP_CQ_WITH_SGID, "sgid"},
        {SOFTEFA_CAP_DATA_POLLING_128, "polling128"},
        {SOFTEFA_CAP_UNSOLICITED_WRITE_RECV, "unsolicited"},
    };
    const softefa_profile_t *profile;
    size_t i, j;

    for (i = 0; i < ARRAY_SIZE(profile_table); ++i) {
        profile = &profile_table[i];
        fprintf(stream, "  %s  %3u Gb/s, %u QPs, %u AHs, message %u B, ",
                profile->name, profile->link_gbps, profile->max_qp,
                profile->max_ah, profile->max_msg_size);
        for (j = 0; j < ARRAY_SIZE(cap_table); ++j) {
            if (profile->caps & cap_table[j].cap) {
                fprintf(stream, " %s", cap_table[j].name);
            }
        }
        fprintf(stream, "\n");
    }
}
