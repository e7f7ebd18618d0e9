/*
 * Our copy of the uverbs ABI (src/softefa/abi/uverbs_abi.h, efa_abi.h) beside the
 * headers that are installed, at compile time.
 *
 *   number   equal
 *   struct   not shorter than ours, unless it is an older form
 *   member   the same place and size
 *
 * A name that the installed headers lack, because they are older or because it
 * was changed, is no error: nothing is built from them. Each name is declared
 * twice for that: in `absent`, by us, and in `uapi`, where the headers are
 * included and hide ours.
 */
#include "softefa/abi/efa_abi.h"
#include "softefa/config/options.h"

#include <gtest/gtest.h>

#include <linux/ioctl.h>
#include <linux/types.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>

/* UVERBS_x and SOFTEFA_x */
#define UVERBS_NAMES(_)                                                       \
    _(ATTR_F_MANDATORY) _(ATTR_F_VALID_OUTPUT) _(ATTR_UHW_IN)                 \
    _(ATTR_UHW_OUT) _(OBJECT_DEVICE) _(OBJECT_PD) _(OBJECT_CQ) _(OBJECT_QP)   \
    _(OBJECT_AH) _(OBJECT_MR) _(OBJECT_ASYNC_EVENT) _(METHOD_INVOKE_WRITE)    \
    _(ATTR_CORE_IN) _(ATTR_CORE_OUT) _(ATTR_WRITE_CMD) _(METHOD_QUERY_PORT)   \
    _(ATTR_QUERY_PORT_PORT_NUM) _(ATTR_QUERY_PORT_RESP)                       \
    _(METHOD_GET_CONTEXT) _(ATTR_GET_CONTEXT_NUM_COMP_VECTORS)                \
    _(ATTR_GET_CONTEXT_CORE_SUPPORT) _(METHOD_QUERY_GID_TABLE)                \
    _(ATTR_QUERY_GID_TABLE_ENTRY_SIZE) _(ATTR_QUERY_GID_TABLE_FLAGS)          \
    _(ATTR_QUERY_GID_TABLE_RESP_ENTRIES)                                      \
    _(ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES) _(METHOD_QUERY_GID_ENTRY)        \
    _(ATTR_QUERY_GID_ENTRY_PORT) _(ATTR_QUERY_GID_ENTRY_GID_INDEX)            \
    _(ATTR_QUERY_GID_ENTRY_FLAGS) _(ATTR_QUERY_GID_ENTRY_RESP_ENTRY)          \
    _(METHOD_QUERY_PORT_SPEED) _(ATTR_QUERY_PORT_SPEED_PORT_NUM)              \
    _(ATTR_QUERY_PORT_SPEED_RESP) _(METHOD_ASYNC_EVENT_ALLOC)                 \
    _(ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE) _(METHOD_PD_DESTROY)                  \
    _(ATTR_DESTROY_PD_HANDLE) _(METHOD_AH_DESTROY) _(ATTR_DESTROY_AH_HANDLE)  \
    _(METHOD_CQ_CREATE) _(ATTR_CREATE_CQ_HANDLE) _(ATTR_CREATE_CQ_CQE)        \
    _(ATTR_CREATE_CQ_USER_HANDLE) _(ATTR_CREATE_CQ_COMP_CHANNEL)              \
    _(ATTR_CREATE_CQ_COMP_VECTOR) _(ATTR_CREATE_CQ_FLAGS)                     \
    _(ATTR_CREATE_CQ_RESP_CQE) _(ATTR_CREATE_CQ_EVENT_FD)                     \
    _(METHOD_CQ_DESTROY) _(ATTR_DESTROY_CQ_HANDLE) _(ATTR_DESTROY_CQ_RESP)    \
    _(METHOD_QP_CREATE) _(ATTR_CREATE_QP_HANDLE) _(ATTR_CREATE_QP_PD_HANDLE)  \
    _(ATTR_CREATE_QP_SEND_CQ_HANDLE) _(ATTR_CREATE_QP_RECV_CQ_HANDLE)         \
    _(ATTR_CREATE_QP_USER_HANDLE) _(ATTR_CREATE_QP_CAP)                       \
    _(ATTR_CREATE_QP_TYPE) _(ATTR_CREATE_QP_FLAGS)                            \
    _(ATTR_CREATE_QP_EVENT_FD) _(ATTR_CREATE_QP_RESP_CAP)                     \
    _(ATTR_CREATE_QP_RESP_QP_NUM) _(METHOD_QP_DESTROY)                        \
    _(ATTR_DESTROY_QP_HANDLE) _(ATTR_DESTROY_QP_RESP) _(METHOD_MR_DESTROY)    \
    _(ATTR_DESTROY_MR_HANDLE) _(METHOD_REG_DMABUF_MR)                         \
    _(ATTR_REG_DMABUF_MR_HANDLE) _(ATTR_REG_DMABUF_MR_PD_HANDLE)              \
    _(ATTR_REG_DMABUF_MR_OFFSET) _(ATTR_REG_DMABUF_MR_LENGTH)                 \
    _(ATTR_REG_DMABUF_MR_IOVA) _(ATTR_REG_DMABUF_MR_FD)                       \
    _(ATTR_REG_DMABUF_MR_ACCESS_FLAGS) _(ATTR_REG_DMABUF_MR_RESP_LKEY)        \
    _(ATTR_REG_DMABUF_MR_RESP_RKEY)

/* EFA_QUERY_DEVICE_CAPS_x and SOFTEFA_CAP_x */
#define EFA_CAPS(_)                                                           \
    _(RDMA_READ) _(RNR_RETRY) _(CQ_NOTIFICATIONS) _(CQ_WITH_SGID)             \
    _(DATA_POLLING_128) _(RDMA_WRITE) _(UNSOLICITED_WRITE_RECV)

/* Theirs, ours */
#define OTHER_NUMBERS(_)                                                      \
    _(RDMA_DRIVER_EFA, SOFTEFA_DRIVER_EFA)                                    \
    _(IB_UVERBS_QPT_UD, SOFTEFA_ABI_QPT_UD)                                   \
    _(IB_UVERBS_QPT_DRIVER, SOFTEFA_ABI_QPT_DRIVER)                           \
    _(IB_UVERBS_QP_CREATE_SQ_SIG_ALL, SOFTEFA_ABI_QP_CREATE_SQ_SIG_ALL)       \
    _(IB_UVERBS_GID_TYPE_IB, SOFTEFA_ABI_GID_TYPE_IB)                         \
    _(IB_UVERBS_CORE_SUPPORT_OPTIONAL_MR_ACCESS,                              \
      SOFTEFA_ABI_CORE_OPTIONAL_ACCESS)                                       \
    _(IB_UVERBS_ACCESS_OPTIONAL_RANGE, SOFTEFA_ABI_ACCESS_OPTIONAL_RANGE)     \
    _(IB_USER_VERBS_CMD_QUERY_DEVICE, SOFTEFA_WRITE_QUERY_DEVICE)             \
    _(IB_USER_VERBS_EX_CMD_QUERY_DEVICE, SOFTEFA_WRITE_QUERY_DEVICE)          \
    _(IB_USER_VERBS_CMD_ALLOC_PD, SOFTEFA_WRITE_ALLOC_PD)                     \
    _(IB_USER_VERBS_CMD_CREATE_AH, SOFTEFA_WRITE_CREATE_AH)                   \
    _(IB_USER_VERBS_CMD_REG_MR, SOFTEFA_WRITE_REG_MR)                         \
    _(IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL,                                  \
      SOFTEFA_WRITE_CREATE_COMP_CHANNEL)                                      \
    _(IB_USER_VERBS_CMD_QUERY_QP, SOFTEFA_WRITE_QUERY_QP)                     \
    _(IB_USER_VERBS_CMD_MODIFY_QP, SOFTEFA_WRITE_MODIFY_QP)                   \
    /* until rdma-core 62, and since 63 */                                    \
    _(EFA_ALLOC_UCONTEXT_CMD_COMP_TX_BATCH, SOFTEFA_ABI_KNOWS_TX_BATCH)       \
    _(EFA_ALLOC_UCONTEXT_CMD_COMP_MIN_SQ_WR, SOFTEFA_ABI_KNOWS_MIN_SQ_WR)     \
    _(EFA_ALLOC_UCONTEXT_CMD_SUPP_CAPS_TX_BATCH, SOFTEFA_ABI_KNOWS_TX_BATCH)  \
    _(EFA_ALLOC_UCONTEXT_CMD_SUPP_CAPS_MIN_SQ_WR,                             \
      SOFTEFA_ABI_KNOWS_MIN_SQ_WR)                                            \
    _(EFA_USER_CMDS_SUPP_UDATA_QUERY_DEVICE, SOFTEFA_ABI_UDATA_QUERY_DEVICE)  \
    _(EFA_USER_CMDS_SUPP_UDATA_CREATE_AH, SOFTEFA_ABI_UDATA_CREATE_AH)        \
    _(EFA_CREATE_CQ_WITH_COMPLETION_CHANNEL, SOFTEFA_ABI_CQ_WITH_CHANNEL)     \
    _(EFA_CREATE_CQ_WITH_SGID, SOFTEFA_ABI_CQ_WITH_SGID)                      \
    _(EFA_CREATE_CQ_RESP_DB_OFF, SOFTEFA_ABI_CQ_HAS_DB)                       \
    _(EFA_QP_DRIVER_TYPE_SRD, SOFTEFA_ABI_DRIVER_QP_SRD)                      \
    _(EFA_CREATE_QP_WITH_UNSOLICITED_WRITE_RECV,                              \
      SOFTEFA_ABI_QP_UNSOLICITED_WRITE_RECV)                                  \
    _(EFA_IB_METHOD_MR_QUERY, SOFTEFA_METHOD_MR_QUERY)                        \
    _(EFA_IB_ATTR_QUERY_MR_HANDLE, SOFTEFA_ATTR_MR_QUERY_HANDLE)              \
    _(EFA_IB_ATTR_QUERY_MR_RESP_IC_ID_VALIDITY,                               \
      SOFTEFA_ATTR_MR_QUERY_VALIDITY)                                         \
    _(EFA_IB_ATTR_QUERY_MR_RESP_RECV_IC_ID, SOFTEFA_ATTR_MR_QUERY_RECV)       \
    _(EFA_IB_ATTR_QUERY_MR_RESP_RDMA_READ_IC_ID,                              \
      SOFTEFA_ATTR_MR_QUERY_RDMA_READ)                                        \
    _(EFA_IB_ATTR_QUERY_MR_RESP_RDMA_RECV_IC_ID,                              \
      SOFTEFA_ATTR_MR_QUERY_RDMA_RECV)

/* Theirs, softefa_abi_..._t, and the members that the device uses; one may be
 * in several rows */
#define STRUCTS(_)                                                            \
    _(ib_uverbs_attr, attr, attr_id, len, flags, data, data_s64)              \
    _(ib_uverbs_ioctl_hdr, ioctl, length, object_id, method_id, num_attrs,    \
      reserved1, driver_id, reserved2)                                        \
    _(ib_uverbs_qp_cap, qp_cap, max_send_wr, max_recv_wr, max_send_sge,       \
      max_recv_sge, max_inline_data)                                          \
    _(ib_uverbs_gid_entry, gid_entry, gid, gid_index, port_num, gid_type,     \
      netdev_ifindex)                                                         \
    _(ib_uverbs_query_port_resp, port, max_msg_sz, gid_tbl_len,               \
      pkey_tbl_len, state, max_mtu, active_mtu, lmc, max_vl_num)              \
    _(ib_uverbs_query_port_resp, port, active_width, active_speed,            \
      phys_state, link_layer, flags)                                          \
    _(ib_uverbs_query_port_resp_ex, port_ex, legacy_resp, port_cap_flags2,    \
      active_speed_ex)                                                        \
    _(ib_uverbs_destroy_cq_resp, destroy_cq_resp, comp_events_reported,       \
      async_events_reported)                                                  \
    _(ib_uverbs_destroy_qp_resp, destroy_qp_resp, events_reported)            \
    _(ib_uverbs_async_event_desc, async_event, element, event_type)           \
    _(ib_uverbs_query_device, cmd, response)                                  \
    _(ib_uverbs_alloc_pd, cmd, response)                                      \
    _(ib_uverbs_create_comp_channel, cmd, response)                           \
    _(ib_uverbs_query_device_resp, device, node_guid, max_mr_size,            \
      page_size_cap, vendor_id, vendor_part_id, hw_ver, max_qp, max_qp_wr)    \
    _(ib_uverbs_query_device_resp, device, max_sge, max_sge_rd, max_cq,       \
      max_cqe, max_mr, max_pd, max_ee, max_rdd)                               \
    _(ib_uverbs_query_device_resp, device, max_mw, max_ah, max_pkeys,         \
      local_ca_ack_delay, phys_port_cnt)                                      \
    _(ib_uverbs_ex_query_device, ex_query_device, comp_mask, reserved)        \
    _(ib_uverbs_ex_query_device_resp, device_ex, base, comp_mask,             \
      response_length)                                                        \
    _(ib_uverbs_alloc_pd_resp, alloc_pd_resp, pd_handle)                      \
    _(ib_uverbs_global_route, grh, dgid, flow_label, sgid_index, hop_limit,   \
      traffic_class)                                                          \
    _(ib_uverbs_ah_attr, ah_attr, grh, dlid, sl, is_global, port_num)         \
    _(ib_uverbs_create_ah, create_ah, user_handle, pd_handle, attr)           \
    _(ib_uverbs_create_ah_resp, create_ah_resp, ah_handle)                    \
    _(ib_uverbs_reg_mr, reg_mr, start, length, hca_va, pd_handle,             \
      access_flags)                                                           \
    _(ib_uverbs_reg_mr_resp, reg_mr_resp, mr_handle, lkey, rkey)              \
    _(ib_uverbs_create_comp_channel_resp, create_comp_channel_resp, fd)       \
    _(ib_uverbs_query_qp, query_qp, qp_handle, attr_mask)                     \
    _(ib_uverbs_query_qp_resp, query_qp_resp, max_send_wr, max_recv_wr,       \
      max_send_sge, max_recv_sge, max_inline_data, qkey, sq_psn, qp_state)    \
    _(ib_uverbs_query_qp_resp, query_qp_resp, cur_qp_state, port_num,         \
      rnr_retry, sq_sig_all)                                                  \
    _(ib_uverbs_modify_qp, modify_qp, qp_handle, attr_mask, qkey, sq_psn,     \
      pkey_index, qp_state, cur_qp_state, en_sqd_async_notify)                \
    _(ib_uverbs_modify_qp, modify_qp, port_num, rnr_retry, alt_timeout)       \
    _(efa_ibv_alloc_ucontext_resp, ucontext_resp, comp_mask,                  \
      cmds_supp_udata_mask, sub_cqs_per_cq, inline_buf_size, max_llq_size,    \
      max_tx_batch, min_sq_wr, inline_buf_size_ex)                            \
    _(efa_ibv_ex_query_device_resp, efa_device, comp_mask, max_sq_wr,         \
      max_rq_wr, max_sq_sge, max_rq_sge, max_rdma_size, device_caps)          \
    _(efa_ibv_alloc_pd_resp, efa_pd, comp_mask, pdn)                          \
    _(efa_ibv_create_ah_resp, efa_ah, comp_mask, efa_address_handle)          \
    _(efa_ibv_create_cq, create_cq, comp_mask, cq_entry_size, num_sub_cqs,    \
      flags)                                                                  \
    _(efa_ibv_create_cq_resp, create_cq_resp, comp_mask, q_mmap_key,          \
      q_mmap_size, cq_idx, db_off, db_mmap_key)                               \
    _(efa_ibv_create_qp, create_qp, comp_mask, rq_ring_size, sq_ring_size,    \
      driver_qp_type, flags, sl)                                              \
    _(efa_ibv_create_qp_resp, create_qp_resp, comp_mask, rq_db_offset,        \
      sq_db_offset, llq_desc_offset, rq_mmap_key, rq_mmap_size,               \
      rq_db_mmap_key, sq_db_mmap_key)                                         \
    _(efa_ibv_create_qp_resp, create_qp_resp, llq_desc_mmap_key,              \
      send_sub_cq_idx, recv_sub_cq_idx)

#define EACH_1(_do, _t, _o, _m) _do(_t, _o, _m)
#define EACH_2(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_1(_do, _t, _o, __VA_ARGS__)
#define EACH_3(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_2(_do, _t, _o, __VA_ARGS__)
#define EACH_4(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_3(_do, _t, _o, __VA_ARGS__)
#define EACH_5(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_4(_do, _t, _o, __VA_ARGS__)
#define EACH_6(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_5(_do, _t, _o, __VA_ARGS__)
#define EACH_7(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_6(_do, _t, _o, __VA_ARGS__)
#define EACH_8(_do, _t, _o, _m, ...)                                          \
    _do(_t, _o, _m) EACH_7(_do, _t, _o, __VA_ARGS__)

#define EACH_NTH(_1, _2, _3, _4, _5, _6, _7, _8, _n, ...) EACH_##_n
#define EACH(_do, _t, _o, ...)                                                \
    EACH_NTH(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)(_do, _t, _o, __VA_ARGS__)

namespace absent {

#define NAME(_name) UVERBS_##_name,
#define CAP(_name) EFA_QUERY_DEVICE_CAPS_##_name,
#define NUMBER(_theirs, _ours) _theirs,
#define STRUCT(_theirs, ...) struct _theirs;

/* A type of their own, by which they are told from a header's */
enum name_t {
    UVERBS_NAMES(NAME) EFA_CAPS(CAP) OTHER_NUMBERS(NUMBER) NO_HEADER_HAS_THIS
};

STRUCTS(STRUCT)

} // namespace absent

namespace uapi {

using namespace absent;

#if __has_include(<rdma/ib_user_verbs.h>)
#include <rdma/ib_user_verbs.h>
#endif
#if __has_include(<rdma/ib_user_ioctl_verbs.h>)
#include <rdma/ib_user_ioctl_verbs.h>
#endif
#if __has_include(<rdma/ib_user_ioctl_cmds.h>)
#include <rdma/ib_user_ioctl_cmds.h>
#endif
#if __has_include(<rdma/rdma_user_ioctl_cmds.h>)
#include <rdma/rdma_user_ioctl_cmds.h>
#endif
#if __has_include(<rdma/efa-abi.h>)
#include <rdma/efa-abi.h>
#endif

constexpr bool is_there(absent::name_t)
{
    return false;
}

template <class T>
constexpr bool is_there(T)
{
    return true;
}

constexpr bool agrees(absent::name_t, unsigned long)
{
    return true;
}

template <class T>
constexpr bool agrees(T theirs, unsigned long ours)
{
    return (unsigned long)theirs == ours;
}

static_assert(!is_there(NO_HEADER_HAS_THIS), "what this test relies on");
static_assert(!agrees(1u << 3, 1 << 4), "what this test relies on");

#undef NAME
#undef CAP
#undef NUMBER
#define NUMBER(_theirs, _ours)                                                \
    static_assert(agrees(_theirs, _ours), "not " #_theirs " as installed");
#define NAME(_name) NUMBER(UVERBS_##_name, SOFTEFA_##_name)
#define CAP(_name) NUMBER(EFA_QUERY_DEVICE_CAPS_##_name, SOFTEFA_CAP_##_name)

UVERBS_NAMES(NAME)
EFA_CAPS(CAP)
OTHER_NUMBERS(NUMBER)

#ifdef RDMA_VERBS_IOCTL
static_assert(RDMA_VERBS_IOCTL == SOFTEFA_ABI_VERBS_IOCTL, "RDMA_VERBS_IOCTL");
#endif
#ifdef IB_USER_VERBS_CMD_FLAG_EXTENDED
static_assert(IB_USER_VERBS_CMD_FLAG_EXTENDED == SOFTEFA_WRITE_EXTENDED,
              "IB_USER_VERBS_CMD_FLAG_EXTENDED");
#endif

/* 0: the headers lack it */
template <class T>
constexpr size_t size_of(...)
{
    return 0;
}

template <class T>
constexpr size_t size_of(decltype(sizeof(T)))
{
    return sizeof(T);
}

/* What grew, and was longer than its last member before */
template <class T>
constexpr size_t oldest_size()
{
    return sizeof(T);
}

template <>
constexpr size_t oldest_size<softefa_abi_create_qp_t>()
{
    return offsetof(softefa_abi_create_qp_t, flags);
}

#undef STRUCT
#define STRUCT(_theirs, _ours, ...)                                           \
    static_assert((size_of<_theirs>(0) == 0) ||                               \
                  (size_of<_theirs>(0) >=                                     \
                   oldest_size<softefa_abi_##_ours##_t>()),                   \
                  "softefa_abi_" #_ours "_t is longer");

STRUCTS(STRUCT)

#define MEMBER(_theirs, _ours, _member)                                       \
    template<class T>                                                         \
    constexpr bool agrees_##_theirs##_##_member(...)                          \
    {                                                                         \
        return true;                                                          \
    }                                                                         \
    template<class T>                                                         \
    constexpr bool agrees_##_theirs##_##_member(                              \
            decltype(sizeof(std::declval<T>()._member)))                      \
    {                                                                         \
        return (offsetof(T, _member) ==                                       \
                offsetof(softefa_abi_##_ours##_t, _member)) &&                \
               (sizeof(std::declval<T>()._member) ==                          \
                sizeof(softefa_abi_##_ours##_t::_member));                    \
    }                                                                         \
    static_assert(agrees_##_theirs##_##_member<_theirs>(0),                   \
                  "not " #_theirs "." #_member " as installed");
#define MEMBERS(_theirs, _ours, ...) EACH(MEMBER, _theirs, _ours, __VA_ARGS__)

STRUCTS(MEMBERS)

/* Compiled is checked: this tells how much there was to compare. */
TEST(abi, headers)
{
    unsigned there = 0, total = 0;
    auto count = [&](const char *name, bool is) {
        ++total;
        if (is) {
            ++there;
        } else {
            printf("not in these headers: %s\n", name);
        }
    };

#undef NUMBER
#undef STRUCT
#define NUMBER(_theirs, _ours) count(#_theirs, is_there(_theirs));
#define STRUCT(_theirs, ...)   count(#_theirs, size_of<_theirs>(0) != 0);
    UVERBS_NAMES(NAME)
    EFA_CAPS(CAP)
    OTHER_NUMBERS(NUMBER)
    STRUCTS(STRUCT)

#if __has_include(<rdma/ib_user_verbs.h>)
    EXPECT_GT(there, total * 3 / 4) << "the headers hide nothing";
#else
    GTEST_SKIP() << "no headers of the kernel's RDMA interface";
#endif
}

/* With names of the headers it would build only where they are as they were. */
TEST(abi, nothing_is_built_from_the_headers)
{
    FILE *grep = popen("grep -rn 'include *[<\"]rdma/' " TEST_TOP_SRCDIR "/src",
                       "r");
    char line[512];

    ASSERT_NE(grep, nullptr);
    while (fgets(line, sizeof(line), grep)) {
        ADD_FAILURE() << line;
    }
    EXPECT_EQ(WEXITSTATUS(pclose(grep)), 1) << "grep found none";
}

} // namespace uapi
