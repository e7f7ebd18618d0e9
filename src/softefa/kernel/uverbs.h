/*
 * The kernel half's own objects.
 *
 *   fd 7 --.                            .-- handle 0: PD
 *           +--> softefa_file_t --------+-- handle 1: CQ --> softefa_cq_t
 *   fd 9 --'     (one open of uverbs0)  '-- handle 2: QP --> softefa_qp_t
 *   (dup)              |
 *                      '--> softefa_dev_t, context hooks
 *
 * A file lives as long as one descriptor in the table refers to it. Its lock
 * serialises commands, as a device's admin queue does; the data path never
 * takes it. Objects are numbered from 0 per file; destroying one that others
 * use fails with EBUSY; closing the file destroys all, users before used.
 */
#ifndef SOFTEFA_UVERBS_H
#define SOFTEFA_UVERBS_H

#include "nic/nic.h"
#include "abi/uverbs_abi.h"

#include <infiniband/verbs.h>

#include <pthread.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct softefa_file  softefa_file_t;
typedef struct softefa_hooks softefa_hooks_t;  /* hooks.c: one ibv_context */

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
            softefa_mr_t *mr;
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
            uint8_t                   sq_sig_all;
        } qp;
    } u;
};

struct softefa_file {
    pthread_mutex_t lock;
    unsigned        refcount;         /* of this memory, atomic */
    unsigned        num_fds;          /* open uverbs fds; table's lock */
    pid_t           pid;              /* who opened it */
    int             foreign;          /* inherited over fork(): hands off */
    softefa_dev_t   *dev;             /* NULL: closed */
    unsigned        index;            /* N of uverbsN */
    int             has_context;      /* GET_CONTEXT was done */
    int             has_async;        /* ASYNC_EVENT_ALLOC was done */
    softefa_hooks_t *hooks;           /* NULL until the first CQ or QP */
    softefa_file_t  *next;            /* among what a child inherited */
    softefa_obj_t   **objs;           /* by handle, NULL: free */
    uint32_t        num_objs;
    uint32_t        free_hint;        /* no free handle below this one */
};

/* uverbs_file.c: files and objects. Errors are positive errno values. open
 * gives the caller a reference; close destroys everything but the memory,
 * which goes with the last reference. */
int  softefa_file_open(unsigned index, softefa_file_t **file_p);
void softefa_file_close(softefa_file_t *file);
void softefa_file_put(softefa_file_t *file);

/* The object gets the lowest free handle. The references
 * in `uses` are counted. NULL: no memory. */
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
/* The application closed the channel's last descriptor. */
void softefa_channel_fd_closed(softefa_file_t *file, softefa_obj_t *obj);

/* fdtable.c: which descriptors are ours. Lookups compare the inode, so a
 * number that the application closed behind our back and used again is never
 * taken for ours. */
typedef struct {
    softefa_file_t *file;             /* holds a reference */
    softefa_obj_t  *channel;          /* NULL: fd is the uverbs file itself */
    dev_t          st_dev;
    ino_t          st_ino;
} softefa_fd_t;

int  softefa_fd_add(int fd, softefa_file_t *file, softefa_obj_t *channel);
/* Cheap check without a lock or a system call. */
int  softefa_fd_maybe(int fd);
/* Returns a file with a reference for the caller, or NULL. channel_p is set to
 * the channel, or to NULL if fd is the uverbs file. */
softefa_file_t *softefa_fd_get(int fd, softefa_obj_t **channel_p);
/* Before close(fd), after dup(from) == to, before close_range(). */
void softefa_fd_closing(int fd);
void softefa_fd_dup(int from, int to);
void softefa_fd_closing_range(unsigned first, unsigned last);
/* uverbs.c: RDMA_VERBS_IOCTL. Returns 0 or a positive errno. */
int softefa_uverbs_ioctl(softefa_file_t *file, int fd, void *arg);

/* One command in flight: attribute access for the handlers. */
typedef struct {
    softefa_file_t     *file;
    int                fd;
    softefa_abi_attr_t *attrs;
    unsigned           num_attrs;
} softefa_cmd_t;

softefa_abi_attr_t *softefa_attr_find(const softefa_cmd_t *cmd, uint16_t id);
/* Address of an input, inlined or not. NULL: absent. */
const void *softefa_attr_in(const softefa_cmd_t *cmd, uint16_t id,
                            size_t *length);
/* Copies min(size, given) bytes and zeroes the rest of dst. EINVAL when fewer
 * than min_size were given; EOPNOTSUPP when what is beyond size is not zero. */
int softefa_attr_copy_in(const softefa_cmd_t *cmd, uint16_t id, void *dst,
                         size_t min_size, size_t size);
/* Copies min(size, room) bytes and zeroes the rest of the room. */
void softefa_attr_copy_out(const softefa_cmd_t *cmd, uint16_t id,
                           const void *src, size_t size);
void softefa_attr_set(const softefa_cmd_t *cmd, uint16_t id, uint64_t value);

/* A number of up to 8 bytes; 0 if absent. */
uint64_t softefa_attr_u64(const softefa_cmd_t *cmd, uint16_t id);
/* The object whose handle is the attribute; NULL: absent or not of the type. */
softefa_obj_t *softefa_attr_obj(const softefa_cmd_t *cmd, uint16_t id,
                                softefa_obj_type_t type);

/* One method (uverbs_methods.c). Attributes of the core are bit masks; the
 * driver's own (UHW and above) are always allowed. */
typedef struct {
    uint16_t object;
    uint16_t method;
    uint32_t required;
    uint32_t optional;
    int      before_context;     /* allowed before GET_CONTEXT */
    int      (*handler)(softefa_cmd_t *cmd);
} softefa_method_t;

/* NULL: there is no such method. */
const softefa_method_t *softefa_method_find(uint16_t object, uint16_t method);

/* Handlers of the legacy write commands (uverbs_write.c). */
int softefa_uverbs_invoke_write(softefa_cmd_t *cmd);

#endif
