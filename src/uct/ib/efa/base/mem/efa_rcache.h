/*
 * Registration cache of a memory domain, made of ucs_rcache.
 *
 *                get                    put (last user)
 *   absent ------------> used (refs) -----------------> idle, LRU order
 *                          ^  |                            |
 *                          |__|__________ get _____________|
 *                             |                            |
 *            invalidate, unmapped, replaced by a wider     | limit, unmapped,
 *            one: found no more, lives until its last user | fork
 *            has gone                                      v
 *                             '------------------------> absent
 *
 * Only memory that others may access goes through it. Memory for messages is
 * registered alone, because two cached regions that overlap become one: what
 * nobody may reach from outside would become part of what a key opens.
 *
 * UCX from 1.16 on: UCP keeps registrations itself, for all memory domains and
 * both generations of its protocols, and a second cache below would cost a
 * look-up and hold what the first has let go. Also, UCP takes it for granted
 * there that memory is invalid when deregistration with invalidation returns,
 * while here it may have another user. So the default is not to cache there,
 * and who asks for it loses invalidation (zero copy with error handling).
 * Before 1.16, UCP's own cache serves only UCX_PROTO_ENABLE=y.
 *
 * Idle regions do not use up limits: where the device or the limit of locked
 * memory refuses a registration, cached or alone, they are given back one after
 * the other and it is tried again.
 *
 * Any thread may call; ucs_rcache has its own locks, and a list of its regions
 * one that is held over nothing else.
 */
#ifndef UCT_EFA_RCACHE_H
#define UCT_EFA_RCACHE_H

#include "base/mem/efa_leak.h"
#include "base/mem/efa_mem.h"

typedef struct {
    ucs_rcache_region_t super;
    ucs_list_link_t     list;          /* in regions of the memory domain    */
    unsigned            asked;         /* access asked for; mem.access: got  */
    uct_efa_mem_t       mem;           /* uct_mem_h points here              */
} uct_efa_rcache_region_t;

/* UCS_OK with md->rcache NULL: not wanted, or only tried. The limit of regions
 * is never above this process' share of the device's. */
ucs_status_t
uct_efa_rcache_init(uct_efa_md_t *md, ucs_ternary_auto_value_t mode,
                    const uct_efa_rcache_config_t *config);
void uct_efa_rcache_cleanup(uct_efa_md_t *md);

/* Logs the regions that users have not put, and puts them: ucs_rcache aborts
 * when it is destroyed with one in use. The last calls before cleanup. */
void uct_efa_rcache_leaks(uct_efa_md_t *md, uct_efa_leak_t *leak);

/* A reference to a region that covers the memory and has been asked for at
 * least `access`. UCS_ERR_NO_ELEM, not logged: what is cached is read-only for
 * the sake of other pages; register alone. Errors: those of
 * uct_efa_mem_init(). */
ucs_status_t uct_efa_rcache_get(uct_efa_md_t *md, void *address, size_t length,
                                unsigned access,
                                const uct_efa_reg_params_t *params,
                                uct_efa_mem_t **mem_p);
void uct_efa_rcache_put(uct_efa_md_t *md, uct_efa_mem_t *mem);

/* Deregisters what was unmapped, or the oldest region that has no user; 0: it
 * found none. Not to be called from within ucs_rcache. */
int uct_efa_rcache_give_back(uct_efa_md_t *md);

/* Puts, and calls comp when the region is deregistered: when its last user has
 * put it, which may be now. comp must not call the memory domain. */
void uct_efa_rcache_invalidate(uct_efa_md_t *md, uct_efa_mem_t *mem,
                               uct_completion_t *comp);

#endif
