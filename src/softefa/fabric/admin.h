/*
 * The admin lock: every allocation and release, in any table or the heap.
 * Taking it after its owner died repairs all tables first (repair.c).
 */
#ifndef SOFTEFA_ADMIN_H
#define SOFTEFA_ADMIN_H

/* 0, or not taken: ETIME, logged; softefa_admin_lock_soon(), which does not
 * wait for a process that is stopped: EBUSY. */
int  softefa_admin_lock(void);
int  softefa_admin_lock_soon(void);
void softefa_admin_unlock(void);

#endif
