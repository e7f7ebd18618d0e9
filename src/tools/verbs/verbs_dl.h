/*
 * libibverbs and libefa by dlopen(): doctor must be able to say that they are
 * not there. What the header defines inline (ibv_post_recv, ibv_poll_cq,
 * ibv_wr_*...) needs no entry here.
 */
#ifndef VERBS_DL_H
#define VERBS_DL_H

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#include <stddef.h>

#define VERBS_DL_IBV(_func)                                                   \
    _func(get_device_list) _func(free_device_list) _func(get_device_name)     \
    _func(open_device) _func(close_device) _func(query_device)                \
    _func(query_gid) _func(alloc_pd) _func(dealloc_pd) _func(reg_mr)          \
    _func(dereg_mr) _func(create_comp_channel) _func(destroy_comp_channel)    \
    _func(create_cq) _func(destroy_cq) _func(modify_qp) _func(destroy_qp)     \
    _func(create_ah) _func(destroy_ah) _func(get_cq_event)                    \
    _func(ack_cq_events) _func(qp_to_qp_ex)

#define VERBS_DL_EFADV(_func)                                                 \
    _func(query_device) _func(create_qp_ex)

#define VERBS_DL_IBV_MEMBER(_name) __typeof__(ibv_##_name) *_name;
#define VERBS_DL_EFADV_MEMBER(_name) __typeof__(efadv_##_name) *efa_##_name;

typedef struct {
    void *verbs, *efa;               /* of dlopen(), never closed */
    VERBS_DL_IBV(VERBS_DL_IBV_MEMBER)
    VERBS_DL_EFADV(VERBS_DL_EFADV_MEMBER)
} verbs_dl_t;

/* Returns 0, or -1 with the linker's words in error. */
int verbs_dl_open(verbs_dl_t *dl, char *error, size_t max);

#endif
