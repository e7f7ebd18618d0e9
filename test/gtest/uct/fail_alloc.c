/*
 * Preloaded: lets the n-th allocation fail that one thread asks for from within
 * or below a library, and counts what is allocated and given back.
 *
 *   set(n)                the n-th from now on returns NULL, ENOMEM; 0: none
 *   count(1) .. count(0)  between these only; returns whether it was asked for
 *   balance()             allocations less frees of this process
 *
 * Below: the library is one of the callers, so that what others allocate for it
 * counts; what its callbacks into the program do does not, nor do other threads,
 * nor does what UCX itself cannot do without memory: see spared[].
 */
#define _GNU_SOURCE
#include "fail_alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RANGES 8
#define MAX_DEPTH  24
#define EXPORT     __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

typedef struct {
    uintptr_t start, end;
} range_t;

static range_t ranges[MAX_RANGES];
static unsigned num_ranges;
static range_t program;
static const char *wanted = "";
static long balance;
static unsigned long countdown;
static int fired;
static __thread int counting __attribute__((tls_model("initial-exec")));

/* UCX: crashes; forgets all that it was to purge; ends the process (from 1.16:
 * "could not grow indexes array") */
static const char *const spared_names[] = {
    "ucs_strdup", "ucs_pgtable_purge", "ucs_callbackq_add",
    "ucs_callbackq_add_safe", "ucs_callbackq_add_oneshot"
};

#define NUM_SPARED (sizeof(spared_names) / sizeof(spared_names[0]))

static range_t spared[NUM_SPARED];

static int add_ranges(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name  = (slash == NULL) ? info->dlpi_name : (slash + 1);
    int k;

    (void)size;
    (void)arg;
    if (info->dlpi_name[0] == '\0') {
        for (k = 0; k < info->dlpi_phnum; ++k) {
            const ElfW(Phdr) *phdr = &info->dlpi_phdr[k];
            if ((phdr->p_type == PT_LOAD) && (phdr->p_flags & PF_X)) {
                program.start = info->dlpi_addr + phdr->p_vaddr;
                program.end   = program.start + phdr->p_memsz;
            }
        }
        return 0;
    }

    if (strncmp(name, wanted, strlen(wanted)) != 0) {
        return 0;
    }

    for (k = 0; k < info->dlpi_phnum; ++k) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[k];
        if ((phdr->p_type == PT_LOAD) && (phdr->p_flags & PF_X) &&
            (num_ranges < MAX_RANGES)) {
            ranges[num_ranges].start = info->dlpi_addr + phdr->p_vaddr;
            ranges[num_ranges].end   = ranges[num_ranges].start + phdr->p_memsz;
            ++num_ranges;
        }
    }
    return 0;
}

/* Without such a function there is nothing to spare. */
static void spare(const char *name, range_t *range)
{
    void *function = dlsym(RTLD_DEFAULT, name);
    const ElfW(Sym) * symbol;
    Dl_info info;

    if ((function != NULL) &&
        dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) &&
        (symbol != NULL)) {
        range->start = (uintptr_t)function;
        range->end   = range->start + symbol->st_size;
    }
}

EXPORT void fail_alloc_set(const char *library, unsigned long n)
{
    void *frames[1];
    unsigned i;

    backtrace(frames, 1); /* allocates, the first time */
    for (i = 0; i < NUM_SPARED; ++i) {
        spare(spared_names[i], &spared[i]);
    }
    wanted     = library;
    num_ranges = 0;
    dl_iterate_phdr(add_ranges, NULL);
    fired     = 0;
    countdown = n;
}

EXPORT int fail_alloc_count(int on)
{
    if (on && (num_ranges == 0)) {
        dl_iterate_phdr(add_ranges, NULL);
    }
    counting = on;
    return fired;
}

EXPORT long fail_alloc_balance(void)
{
    return __atomic_load_n(&balance, __ATOMIC_RELAXED);
}

static int is_in(const range_t *range, const void *address)
{
    return ((uintptr_t)address >= range->start) &&
           ((uintptr_t)address < range->end);
}

static int is_below(void)
{
    void *frames[MAX_DEPTH];
    int k, depth;
    unsigned i;

    depth = backtrace(frames, MAX_DEPTH);
    for (k = 0; k < depth; ++k) {
        if (is_in(&program, frames[k])) {
            return 0;
        }
        for (i = 0; i < NUM_SPARED; ++i) {
            if (is_in(&spared[i], frames[k])) {
                return 0;
            }
        }
        for (i = 0; i < num_ranges; ++i) {
            if (is_in(&ranges[i], frames[k])) {
                return 1;
            }
        }
    }
    return 0;
}

static int is_to_fail(void)
{
    int found;

    if (!counting || (countdown == 0)) {
        return 0;
    }

    counting = 0; /* whatever the unwinder does */
    found    = is_below();
    counting = 1;
    if (!found || (--countdown > 0)) {
        return 0;
    }

    fired = 1;
    if (getenv("FAIL_ALLOC_SHOW") != NULL) {
        void *frames[MAX_DEPTH];
        counting = 0;
        backtrace_symbols_fd(frames, backtrace(frames, MAX_DEPTH), 2);
        counting = 1;
    }
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory)
{
    if (memory != NULL) {
        __atomic_fetch_add(&balance, 1, __ATOMIC_RELAXED);
    }
    return memory;
}

EXPORT void *malloc(size_t size)
{
    return is_to_fail() ? NULL : counted(__libc_malloc(size));
}

EXPORT void *calloc(size_t count, size_t size)
{
    return is_to_fail() ? NULL : counted(__libc_calloc(count, size));
}

EXPORT void *realloc(void *memory, size_t size)
{
    void *grown;

    if (is_to_fail()) {
        return NULL;
    }

    grown = __libc_realloc(memory, size);
    if (memory == NULL) {
        counted(grown);
    } else if ((grown == NULL) && (size == 0)) {
        __atomic_fetch_sub(&balance, 1, __ATOMIC_RELAXED);
    }
    return grown;
}

EXPORT int posix_memalign(void **memory_p, size_t alignment, size_t size)
{
    void *memory;

    memory = is_to_fail() ? NULL : counted(__libc_memalign(alignment, size));
    if (memory == NULL) {
        return ENOMEM;
    }
    *memory_p = memory;
    return 0;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return is_to_fail() ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return is_to_fail() ? NULL : counted(__libc_memalign(alignment, size));
}

EXPORT void free(void *memory)
{
    if (memory != NULL) {
        __atomic_fetch_sub(&balance, 1, __ATOMIC_RELAXED);
        __libc_free(memory);
    }
}
