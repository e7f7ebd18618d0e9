/*
 * Objects of an open file, numbered from 0. Destroying one that others use
 * fails with EBUSY. All under the file's lock.
 */
#ifndef SOFTEFA_OBJ_H
#define SOFTEFA_OBJ_H

#include "abi/uverbs_abi.h"
#include "kernel/dmabuf.h"
#include "nic/nic.h"

typedef struct softefa_file softefa_file_t;

/* In the order in which a closed file destroys them. */
typedef enum {
    SOFTEFA_OBJ_AH,
    SOFTEFA_OBJ_QP,
    SOFTEFA_OBJ_MR,
    SOFTEFA_OBJ_CQ,
    SOFTEFA_OBJ_CHANNEL,   /* its handle is never shown */
    SOFTEFA_OBJ_PD,
    SOFTEFA_OBJ_LAST
} softefa_obj_type_t;

typedef struct softefa_obj softefa_obj_t;

struct softefa_obj {
    softefa_obj_type_t type;
    uint32_t           handle;
    unsigned           users;         /* objects that refer to this one */
    uint64_t           user_handle;   /* CQ, QP: address of the verbs object */
    softefa_obj_t      *uses[3];      /* what this one holds, or NULL */
    union {
        struct {
            uint16_t pdn;
        } pd;
        struct {
            uint16_t pdn;
            uint16_t ahn;
        } ah;
        struct {
            softefa_mr_t     *mr;
            softefa_dmabuf_t dmabuf;     /* map NULL: none */
        } mr;
        struct {
            softefa_channel_t *channel;
            unsigned          num_fds;   /* descriptors; table's lock */
            int               fd_closed; /* none is left; file's lock */
        } channel;
        struct {
            softefa_cq_t *cq;
        } cq;
        struct {
            softefa_qp_t              *qp;
            softefa_qp_type_t         type;
            softefa_abi_qp_cap_t      cap;
        } qp;
    } u;
};

/* The object gets the lowest free handle. The references in `uses` are counted.
 * NULL: no memory. */
softefa_obj_t *softefa_obj_create(softefa_file_t *file, softefa_obj_type_t type,
                                  softefa_obj_t *use0, softefa_obj_t *use1,
                                  softefa_obj_t *use2);
softefa_obj_t *softefa_obj_find(softefa_file_t *file, softefa_obj_type_t type,
                                uint32_t handle);
/* Drops the bookkeeping only; the device object must be gone. */
void softefa_obj_free(softefa_file_t *file, softefa_obj_t *obj);
/* EBUSY while used. events: CQ, QP: how many were raised and not taken back;
 * may be NULL. */
int softefa_obj_destroy(softefa_file_t *file, softefa_obj_t *obj,
                        uint32_t *events);
/* The application closed the channel's last descriptor. Takes the lock. */
void softefa_obj_channel_closed(softefa_file_t *file, softefa_obj_t *obj);

#endif
