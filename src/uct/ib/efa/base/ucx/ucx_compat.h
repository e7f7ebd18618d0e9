/*
 * What differs between UCX 1.13 and 1.23, in one place.
 *
 *                     1.13 1.14 1.15 1.16 1.17 1.18 1.19 1.20 1.21 1.22 1.23
 *   md query            v1   v2 .......................................
 *   mem_reg           flags  params ...................................
 *   mkey_pack          rkey ........ +address, length .................
 *   rkey_unpack                                         +params .......
 *   mem_query            v1 ...................................... v2 .
 *   dma-buf                  yes ......................................
 *   FLAG_INVALIDATE      one ..... +_RMA ..............................
 *   UCP: memh looked at
 *     for its access                          yes .....................
 *     cached for all                     yes ..........................
 *   rcache config        uct ......... ucs ............................
 *   rcache alignment     params ........... get .......................
 *   rcache merge                                 yes ..................
 *   rcache LRU lock                                      flag .........
 *   is_sockaddr_acc.    yes ....... gone
 *   is_reachable_v2               yes; the only one used from 1.16 ....
 *     lengths of addresses                       yes ..................
 *   ep_is_connected                    yes ............................
 *   ep_invalidate     flags ............................... params ....
 *   iface_query_v2                                    yes  no   yes ...
 *   ctl_device                                                  yes ...
 *   put_sgl_zcopy                                               yes ...
 *   get_sgl_zcopy                                                    yes
 *   outstanding_purge                                                yes
 *   mpool init         args  params ...................................
 *   mpool config       2 fields  4 fields ...............................
 *   config parser      ................... +doc .......................
 *   ep_check params      flags, completion ................ completion ...
 *   am_short_fill_data                           +hint (harmless) .....
 *
 * The transport is written against what these files declare:
 *
 *   ucx_compat.h          UCX's headers, in the layout of the UCX that is there
 *   ucx_compat_iface.h    operations, attributes and pools of an interface
 *   ucx_compat_rcache.h   registration cache
 *   md/ucx_compat_md.h    operations of the memory domain
 *
 * Include this file before every other header: it takes UCX's config.h, which
 * UCX's headers need for their layouts, and repairs what a distribution's
 * config.h says wrongly for us.
 */
#ifndef UCT_EFA_UCX_COMPAT_H
#define UCT_EFA_UCX_COMPAT_H

#ifndef _GNU_SOURCE
#  define _GNU_SOURCE 1 /* as UCX's own build has it */
#endif
#ifndef HAVE_CONFIG_H
#  define HAVE_CONFIG_H 1
#endif
#include "config.h"

/*
 * Debian's UCX says NVALGRIND. Memory that a device writes would then look
 * uninitialised under valgrind. checker.h decides it once, on first inclusion,
 * and would read config.h again: keep it from doing so.
 */
#undef NVALGRIND
#if !defined(__has_include)
#  define NVALGRIND 1
#elif !__has_include(<valgrind/memcheck.h>)
#  define NVALGRIND 1
#endif
#undef HAVE_CONFIG_H
#include <ucs/sys/checker.h>
#define HAVE_CONFIG_H 1

/* Layouts of arbiter groups, async contexts, interfaces and endpoints depend
 * on ENABLE_ASSERT and ENABLE_STATS. A release build defines neither, so it is
 * another line that tells a config.h of UCX from any other. */
#ifndef UCX_CONFIG_H
#  error "config.h is not that of UCX: make it with `ucx_info -b`"
#endif
#if defined(ENABLE_STATS) && !(ENABLE_STATS + 0)
#  error "ENABLE_STATS must be 1 or not defined, as ucx_info -b prints it"
#endif

#include <uct/api/uct.h>
#include <uct/api/v2/uct_v2.h>
#include <uct/api/version.h>
#include <uct/base/uct_iface.h>
#include <uct/base/uct_iov.inl>
#include <uct/base/uct_md.h>
#include <uct/base/uct_worker.h>
#include <ucs/arch/atomic.h>
#include <ucs/arch/bitops.h>
#include <ucs/arch/cpu.h>
#include <ucs/async/async.h>
#include <ucs/datastruct/arbiter.h>
#include <ucs/datastruct/khash.h>
#include <ucs/datastruct/list.h>
#include <ucs/datastruct/mpool.inl>
#include <ucs/datastruct/queue.h>
#include <ucs/debug/assert.h>
#include <ucs/debug/log.h>
#include <ucs/debug/memtrack_int.h>
#include <ucs/memory/memory_type.h>
#include <ucs/memory/rcache.h>
#include <ucs/stats/stats.h>
#include <ucs/sys/math.h>
#if __has_include(<ucs/sys/ptr_arith.h>)
#  include <ucs/sys/ptr_arith.h> /* from 1.17 on, taken out of math.h */
#endif
#include <ucs/sys/stubs.h>
#include <ucs/sys/string.h>
#include <ucs/sys/topo/base/topo.h>
#include <ucs/time/time.h>
#include <ucs/type/class.h>
#include <ucs/vfs/base/vfs_cb.h>
#include <ucs/vfs/base/vfs_obj.h>

#include <assert.h>

#define UCT_EFA_UCX(_major, _minor) (UCT_API >= UCT_VERSION(_major, _minor))

#if !UCT_EFA_UCX(1, 13)
#  error "UCX 1.13 or later is needed"
#endif

#if ENABLE_ASSERT
static_assert(sizeof(ucs_arbiter_group_t) == 3 * sizeof(void *),
              "ENABLE_ASSERT and the headers disagree");
#else
static_assert(sizeof(ucs_arbiter_group_t) == sizeof(void *),
              "ENABLE_ASSERT and the headers disagree");
#endif
#ifdef ENABLE_STATS
static_assert(sizeof(uct_base_ep_t) == 2 * sizeof(void *),
              "ENABLE_STATS and the headers disagree");
#else
static_assert(sizeof(uct_base_ep_t) == sizeof(void *),
              "ENABLE_STATS and the headers disagree");
#endif

/* Before 1.14 nobody hands over a dma-buf */
#if !UCT_EFA_UCX(1, 14)
#  define UCT_DMABUF_FD_INVALID -1
#endif

/* A field of ucs_config_parser_t that came with 1.17 */
#if UCT_EFA_UCX(1, 17)
#  define UCT_EFA_CONFIG_DOC .doc = ucs_config_doc_nop,
#else
#  define UCT_EFA_CONFIG_DOC
#endif

#include "base/ucx/ucx_compat_iface.h"
#include "base/ucx/ucx_compat_rcache.h"

#endif
