/*
 * Call sites: efa_caller.h.
 *
 * What belongs to UCX is known by address ranges, which are collected anew when
 * a library was loaded or unloaded since; so are the names found so far.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_caller.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#define UCT_EFA_CALLER_RANGES 32
#define UCT_EFA_CALLER_NAMES  64     /* by address, a later one replaces     */
#define UCT_EFA_CALLER_DEPTH  32     /* frames                               */
#define UCT_EFA_CALLER_SITE   48

typedef struct {
    uintptr_t start, end;
} uct_efa_caller_range_t;

static struct {
    pthread_mutex_t        lock;
    unsigned long long     loads;    /* libraries loaded and unloaded so far */
    unsigned               num_ranges;
    uct_efa_caller_range_t ranges[UCT_EFA_CALLER_RANGES];
    struct {
        const void         *pc;
        char               site[UCT_EFA_CALLER_SITE];
    } names[UCT_EFA_CALLER_NAMES];
} uct_efa_callers = {
    .lock = PTHREAD_MUTEX_INITIALIZER
};

static const char *uct_efa_caller_base_name(const char *path)
{
    const char *slash = (path == NULL) ? NULL : strrchr(path, '/');

    return (slash != NULL) ? (slash + 1) : path;
}

/* The first library that is listed tells how many there were */
static int uct_efa_caller_count(struct dl_phdr_info *info, size_t size,
                                void *arg)
{
    unsigned long long *loads = arg;

    (void)size;
    *loads = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

/* This library, whatever its file is called */
static int uct_efa_caller_is_own(const struct dl_phdr_info *info)
{
    uintptr_t here = (uintptr_t)uct_efa_caller_is_own - info->dlpi_addr;
    unsigned i;

    for (i = 0; i < info->dlpi_phnum; ++i) {
        if ((info->dlpi_phdr[i].p_type == PT_LOAD) &&
            (here - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz)) {
            return 1;
        }
    }

    return 0;
}

static int uct_efa_caller_add(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *name = uct_efa_caller_base_name(info->dlpi_name);
    uct_efa_caller_range_t *range;
    const ElfW(Phdr) * phdr;
    unsigned i;

    (void)size;
    (void)arg;
    /* The program has no name here */
    if ((name == NULL) || (name[0] == '\0') ||
        ((strncmp(name, "libuct", 6) != 0) &&
         (strncmp(name, "libucp", 6) != 0) &&
         (strncmp(name, "libucs", 6) != 0) &&
         (strncmp(name, "libucm", 6) != 0) && !uct_efa_caller_is_own(info))) {
        return 0;
    }

    for (i = 0; i < info->dlpi_phnum; ++i) {
        phdr = &info->dlpi_phdr[i];
        if ((phdr->p_type == PT_LOAD) && (phdr->p_flags & PF_X) &&
            (uct_efa_callers.num_ranges < UCT_EFA_CALLER_RANGES)) {
            range = &uct_efa_callers.ranges[uct_efa_callers.num_ranges++];
            range->start = info->dlpi_addr + phdr->p_vaddr;
            range->end   = range->start + phdr->p_memsz;
        }
    }

    return 0;
}

/* Lock held */
static void uct_efa_callers_update(void)
{
    unsigned long long loads = 0;

    dl_iterate_phdr(uct_efa_caller_count, &loads);
    if (loads != uct_efa_callers.loads) {
        uct_efa_callers.loads      = loads;
        uct_efa_callers.num_ranges = 0;
        memset(uct_efa_callers.names, 0, sizeof(uct_efa_callers.names));
        dl_iterate_phdr(uct_efa_caller_add, NULL);
    }
}

typedef struct {
    uct_efa_caller_range_t ranges[UCT_EFA_CALLER_RANGES];
    unsigned               num_ranges;
    unsigned               depth;
    uintptr_t              pc;
} uct_efa_caller_search_t;

static _Unwind_Reason_Code uct_efa_caller_frame(struct _Unwind_Context *context,
                                                void *arg)
{
    uct_efa_caller_search_t *search = arg;
    uintptr_t pc                    = _Unwind_GetIP(context);
    unsigned i;

    if ((pc == 0) || (++search->depth > UCT_EFA_CALLER_DEPTH)) {
        return _URC_END_OF_STACK;
    }

    for (i = 0; i < search->num_ranges; ++i) {
        if ((pc >= search->ranges[i].start) && (pc < search->ranges[i].end)) {
            return _URC_NO_REASON;
        }
    }

    search->pc = pc;
    return _URC_END_OF_STACK;
}

const void *uct_efa_caller(void)
{
    uct_efa_caller_search_t search;

    pthread_mutex_lock(&uct_efa_callers.lock);
    uct_efa_callers_update();
    search.num_ranges = uct_efa_callers.num_ranges;
    memcpy(search.ranges, uct_efa_callers.ranges,
           search.num_ranges * sizeof(search.ranges[0]));
    pthread_mutex_unlock(&uct_efa_callers.lock);

    search.depth = 0;
    search.pc    = 0;
    _Unwind_Backtrace(uct_efa_caller_frame, &search);
    return (const void *)search.pc;
}

static void uct_efa_caller_look_up(const void *pc, char *site, size_t max)
{
    const char *file;
    Dl_info info;

    /* The address may be the first of what follows the call */
    if ((dladdr(UCS_PTR_BYTE_OFFSET(pc, -1), &info) == 0) ||
        (info.dli_fname == NULL)) {
        snprintf(site, max, "%p", pc);
        return;
    }

    file = uct_efa_caller_base_name(info.dli_fname);
    if (info.dli_sname != NULL) {
        snprintf(site, max, "%.20s(%.18s+0x%lx)", file, info.dli_sname,
                 (unsigned long)UCS_PTR_BYTE_DIFF(info.dli_saddr, pc));
    } else {
        snprintf(site, max, "%.30s+0x%lx", file,
                 (unsigned long)UCS_PTR_BYTE_DIFF(info.dli_fbase, pc));
    }
}

void uct_efa_caller_name(const void *pc, char *site, size_t max)
{
    unsigned i = ((uintptr_t)pc ^ ((uintptr_t)pc >> 8)) % UCT_EFA_CALLER_NAMES;
    char found[UCT_EFA_CALLER_SITE];

    if (pc == NULL) {
        snprintf(site, max, "?");
        return;
    }

    pthread_mutex_lock(&uct_efa_callers.lock);
    uct_efa_callers_update();
    if (uct_efa_callers.names[i].pc == pc) {
        ucs_strncpy_zero(site, uct_efa_callers.names[i].site, max);
        pthread_mutex_unlock(&uct_efa_callers.lock);
        return;
    }
    pthread_mutex_unlock(&uct_efa_callers.lock);

    /* Without our lock: it takes the dynamic linker's */
    uct_efa_caller_look_up(pc, found, sizeof(found));
    ucs_strncpy_zero(site, found, max);

    pthread_mutex_lock(&uct_efa_callers.lock);
    uct_efa_callers.names[i].pc = pc;
    memcpy(uct_efa_callers.names[i].site, found, sizeof(found));
    pthread_mutex_unlock(&uct_efa_callers.lock);
}
