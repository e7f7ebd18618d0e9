/* The fabric's directory, and the locks of its lock file. */
#ifndef SOFTEFA_DIR_H
#define SOFTEFA_DIR_H

#include "fabric/fabric.h"

#include <fcntl.h>
#include <sys/types.h>

#define SOFTEFA_ENTER_BYTE       0
#define SOFTEFA_SLOT_BYTE(_slot) (1 + (off_t)(_slot))

/* fcntl(): lock or ask for bytes of the lock file. Returns 0 or an errno;
 * F_OFD_GETLK: EAGAIN if another process holds one of them. */
int softefa_dir_lock(int fd, int command, int type, off_t start, off_t length);

/* Byte 0 of the lock file, in which its holder writes its pid. ETIME, logged:
 * the holder is stopped or makes no progress. */
int softefa_dir_lock_enter(int lock_fd);

/* Opens fabric->dir, made if need be, and takes that lock. EAGAIN if it
 * vanished meanwhile; other errors are logged. */
int  softefa_dir_enter(softefa_fabric_t *fabric);
void softefa_dir_close(softefa_fabric_t *fabric);

/* Whether another process than this one holds a slot. */
bool softefa_dir_others(int lock_fd);

/* Removes what the directory holds, but for the lock. */
void softefa_dir_clean(softefa_fabric_t *fabric);

/* Under the directory's lock: removes it if this is the last process. */
void softefa_dir_remove(softefa_fabric_t *fabric);

/* Removes other fabrics of this user in which no process lives: `kill -9` left
 * them, and their memory is the machine's. */
void softefa_dir_sweep(const softefa_fabric_t *fabric);

void softefa_dir_remove_tree(const char *path);

#endif
