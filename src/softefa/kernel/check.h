/*
 * What the kernel refuses before a command reaches the device. Tables and
 * their sources: check.c and docs/soft-efa.md, "Driver checks". All return 0
 * or a positive errno.
 */
#ifndef SOFTEFA_CHECK_H
#define SOFTEFA_CHECK_H

#include "abi/efa_abi.h"
#include "abi/uverbs_abi.h"
#include "nic/nic.h"

int softefa_check_modify_qp(softefa_qp_type_t type, int state,
                            const softefa_abi_modify_qp_t *cmd);

int softefa_check_query_qp(uint32_t attr_mask);

/* access: in: as given, out: without the optional flags the device ignores */
int softefa_check_reg_mr(const softefa_profile_t *profile,
                         const softefa_abi_reg_mr_t *cmd, uint32_t *access);

int softefa_check_reg_dmabuf(const softefa_profile_t *profile, uint64_t offset,
                             uint64_t length, uint64_t iova, uint32_t *access);

/* One event queue each; a device without events has one vector all the same. */
uint32_t softefa_check_comp_vectors(const softefa_profile_t *profile);

int softefa_check_create_cq(const softefa_profile_t *profile, uint32_t cqe,
                            uint32_t comp_vector, uint32_t flags,
                            int has_channel,
                            const softefa_abi_create_cq_t *cmd);

/* Bytes of a send queue entry: what the ring that libefa asks for amounts to.
 * Before rdma-core 63 it knows only 64, whatever the device could do. */
unsigned softefa_check_sq_entry_size(const softefa_profile_t *profile,
                                     const softefa_abi_qp_cap_t *cap,
                                     const softefa_abi_create_qp_t *cmd);

int softefa_check_create_qp(const softefa_profile_t *profile,
                            uint32_t qp_type, uint32_t create_flags,
                            const softefa_abi_qp_cap_t *cap,
                            const softefa_abi_create_qp_t *cmd);

int softefa_check_create_ah(const softefa_abi_ah_attr_t *attr);

#endif
