/*
 * The owner's side of the window (efa_window_format.h): hands out blocks of
 * counters, which the data path adds to.
 *
 *   md open  ---> open  (first one makes the file)
 *   iface    ---> iface_get ... iface_put     after that the block is gone
 *   peer     ---> peer_get ... peer_put       between its interface's get/put
 *   md close ---> close (last one removes the file)
 *
 * The file is a convenience: without it (no room, no permission, WINDOW=n) the
 * blocks are private memory and everything else is the same. So no function
 * here fails and none returns NULL.
 *
 * get/put/open/close take a lock and may be called from any thread. A block
 * has one writer, the thread of its interface. Peers that find no room share
 * one block for each interface, flagged OVERFLOW.
 */
#ifndef UCT_EFA_WINDOW_H
#define UCT_EFA_WINDOW_H

#include "efa_window_format.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef efa_window_iface_t uct_efa_window_iface_t;
typedef efa_window_peer_t  uct_efa_window_peer_t;

/* UCX_EFA_WINDOW */
typedef enum {
    UCT_EFA_WINDOW_NO,   /* private memory only                              */
    UCT_EFA_WINDOW_YES,  /* removed at exit                                  */
    UCT_EFA_WINDOW_KEEP, /* stays behind for `srdtool --file`                */
    UCT_EFA_WINDOW_LAST
} uct_efa_window_mode_t;

/* Counted; the first caller's mode holds for the process. */
void uct_efa_window_open(uct_efa_window_mode_t mode);
void uct_efa_window_close(void);

/* Path of this process' file; "" if there is none. */
const char *uct_efa_window_path(void);

/* name: "device:port"; gid: 16 bytes of the own address; qpn: own QP. */
uct_efa_window_iface_t *uct_efa_window_iface_get(const char *name,
                                                 const void *gid, uint32_t qpn);
void uct_efa_window_iface_put(uct_efa_window_iface_t *iface);

/* gid, qpn: of the remote interface. The state starts as NEW. */
uct_efa_window_peer_t *uct_efa_window_peer_get(uct_efa_window_iface_t *iface,
                                               const void *gid, uint32_t qpn);
void uct_efa_window_peer_put(uct_efa_window_iface_t *iface,
                             uct_efa_window_peer_t *peer);

#ifdef __cplusplus
}
#endif

#endif
