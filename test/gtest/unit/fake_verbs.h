/*
 * A verbs library with devices of paper, for tests of what the transport says
 * and asks when it looks for devices, opens one and registers memory. Linked
 * into the program, it comes before libibverbs and libefa.
 *
 * Not the AH functions: test_ah.cc has its own.
 */
#ifndef TEST_UNIT_FAKE_VERBS_H
#define TEST_UNIT_FAKE_VERBS_H

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAKE_MAX_DEVICES 4

typedef struct {
    char                     name[64];       /* "" ends the list             */
    char                     node[64];       /* "uverbs0"                    */
    char                     sysfs[256];     /* ibdev_path                   */
    int                      open_errno;     /* 0: can be opened             */
    int                      is_efa;         /* efadv_query_device succeeds  */
    struct ibv_device_attr   attr;
    struct efadv_device_attr efa;
    struct ibv_port_attr     port;
} fake_device_t;

typedef struct {
    fake_device_t devices[FAKE_MAX_DEVICES];
    int           list_errno;     /* 0: there is a list                      */
    int           pd_errno;
    int           reg_errno;      /* of the next registrations               */
    int           query_errno;    /* of the next ibv_query_port              */
    int           num_fatal;      /* next looks for events that find one     */
    int           reg_read_only;  /* EFAULT if LOCAL_WRITE is asked for      */
    const void    *read_only_page; /* likewise, if the page is in the range  */
    size_t        reg_max;        /* ENOMEM for more bytes; 0: any           */
    int           reg_access;     /* of the last registration                */
    const void    *reg_address;   /* likewise                                */
    size_t        reg_length;
    int           reg_dmabuf_fd;  /* likewise, -1: not a dma-buf             */
    uint64_t      reg_offset;     /* in the dma-buf                          */
    int           dmabuf_errno;   /* of ibv_reg_dmabuf_mr                    */
    unsigned      num_regs;       /* that succeeded                          */
    int           num_lists, num_contexts, num_pds, num_mrs; /* alive now    */
    unsigned      opens;
    char          node[64];       /* the one that is in /dev/infiniband      */
    int           node_errno;     /* of access() to it, 0: allowed           */
} fake_verbs_t;

extern fake_verbs_t fake_verbs;

#ifdef __cplusplus
}
#endif

#endif
