/*
 * Doorbells that a program stores itself: a word of a page that cannot be
 * written stands for each.
 *
 *   store to that word --> SIGSEGV --> the store is carried out on the real
 *                          doorbell, the model is called as a hook would call
 *                          it, and the program goes on behind the store
 *
 * So only those pay for the trap who go past libefa: some microseconds for each
 * doorbell; none who use softefa_direct.h. That of a receive queue needs no
 * trap: it is read when a message comes. The signal is shared with the program
 * (signal.c).
 *
 * The instruction is decoded, not single-stepped: no window in which another
 * thread could store unseen. Known are those that compilers make of a 32-bit
 * store: mov, movnti and xchg (x86-64), str, stur and stlr (arm64).
 */
#define _GNU_SOURCE
#include "preload/doorbell.h"
#include "base/log.h"
#include "base/util.h"
#include "preload/signal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
    MAX_DOORBELLS = 1024             /* in one page */
};

typedef struct {
    _Atomic(void*)   object;         /* NULL: free, or destroyed */
    void             (*stored)(void *object, uint32_t value);
    _Atomic uint32_t *real;
} doorbell_t;

static doorbell_t doorbells[MAX_DOORBELLS];
static uint32_t *_Atomic trap_page;
static pthread_mutex_t doorbell_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The store that was trapped. store_decode() returns how long the instruction
 * is, 0 if it is no 32-bit store that it knows, and what is stored. xchg also
 * gives back what was there.
 */
#if defined(__x86_64__)

static greg_t *store_register(ucontext_t *context, unsigned number)
{
    static const uint8_t index[] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15
    };

    return &context->uc_mcontext.gregs[index[number]];
}

/* Bytes of a memory operand: ModRM, SIB, displacement. 0: it is none. */
static unsigned store_operand(const uint8_t *code)
{
    unsigned mod = code[0] >> 6, rm = code[0] & 7;
    bool sib      = (rm == 4);
    unsigned base = sib ? (code[1] & 7) : rm;

    switch (mod) {
    case 0:
        return 1 + sib + ((base == 5) ? 4 : 0);
    case 1:
        return 1 + sib + 1;
    case 2:
        return 1 + sib + 4;
    default:
        return 0;
    }
}

static unsigned store_decode(ucontext_t *context, uint32_t there,
                             uint32_t *value)
{
    const uint8_t *code = (void *)context->uc_mcontext.gregs[REG_RIP];
    const uint8_t *next = code;
    unsigned rex        = 0;
    bool exchange;
    unsigned operand;
    greg_t *reg;

    if ((*next & 0xf0) == 0x40) {
        rex = *next++;
    }
    if (rex & 8) {
        return 0; /* 64 bits */
    }

    if (*next == 0xc7) { /* mov: an immediate value */
        operand = store_operand(next + 1);
        memcpy(value, next + 1 + operand, sizeof(*value));
        return (operand == 0) ? 0 : (next - code) + 1 + operand + 4;
    }

    exchange = (*next == 0x87);
    if ((next[0] == 0x0f) && (next[1] == 0xc3)) { /* movnti */
        ++next;
    } else if ((*next != 0x89) && !exchange) { /* mov */
        return 0;
    }

    operand = store_operand(next + 1);
    if (operand == 0) {
        return 0;
    }

    reg = store_register(context, ((next[1] >> 3) & 7) | ((rex & 4) ? 8 : 0));
    *value = *reg;
    if (exchange) {
        *reg = there;
    }
    return (next - code) + 1 + operand;
}

static void store_skip(ucontext_t *context, unsigned length)
{
    context->uc_mcontext.gregs[REG_RIP] += length;
}

#elif defined(__aarch64__)

static unsigned store_decode(ucontext_t *context, uint32_t there,
                             uint32_t *value)
{
    uint32_t code = *(const uint32_t *)context->uc_mcontext.pc;
    unsigned rt   = code & 31;

    (void)there;
    if (((code & 0xffc00000) != 0xb9000000) && /* str [x, #offset] */
        ((code & 0xffe00c00) != 0xb8000000) && /* stur */
        ((code & 0xffe00c00) != 0xb8200800) && /* str [x, register] */
        ((code & 0xfffffc00) != 0x889ffc00)) { /* stlr */
        return 0;
    }

    *value = (rt == 31) ? 0 : context->uc_mcontext.regs[rt];
    return 4;
}

static void store_skip(ucontext_t *context, unsigned length)
{
    context->uc_mcontext.pc += length;
}

#else

static unsigned store_decode(ucontext_t *context, uint32_t there,
                             uint32_t *value)
{
    (void)context;
    (void)there;
    (void)value;
    return 0;
}

static void store_skip(ucontext_t *context, unsigned length)
{
    (void)context;
    (void)length;
}

#endif

/* The doorbell at that address, NULL: none */
static doorbell_t *doorbell_at(const void *address)
{
    const char *page = (const char *)atomic_load(&trap_page);
    size_t offset    = (const char *)address - page;

    return ((page != NULL) && ((const char *)address >= page) &&
            (offset < MAX_DOORBELLS * sizeof(uint32_t))) ?
                   &doorbells[offset / sizeof(uint32_t)] :
                   NULL;
}

typedef struct {
    doorbell_t *doorbell;
    void       *object;
    uint32_t   value;
} doorbell_store_t;

static void doorbell_stored(void *arg)
{
    doorbell_store_t *store = arg;

    atomic_store_explicit(store->doorbell->real, store->value,
                          memory_order_release);
    store->doorbell->stored(store->object, store->value);
}

/* It is the program's own thread, at its own store: nothing of the model's or
 * of libc's is interrupted. */
static void doorbell_trap(int signal, siginfo_t *info, void *arg)
{
    ucontext_t *context    = arg;
    int saved_errno        = errno;
    doorbell_store_t store = {0};
    unsigned length        = 0;

    /* Of a signal that was sent there is no address. */
    if (info->si_code > 0) {
        store.doorbell = doorbell_at(info->si_addr);
    }
    if (store.doorbell != NULL) {
        store.object = atomic_load(&store.doorbell->object);
        length       = store_decode(context,
                              (store.object == NULL) ?
                                            0 :
                                            atomic_load(store.doorbell->real),
                                    &store.value);
    }
    if (length == 0) {
        if (store.doorbell != NULL) {
            softefa_error("a doorbell from efadv_query_qp_wqs() or "
                          "efadv_query_cq() was accessed by an instruction "
                          "other than a 32-bit store");
        }
        softefa_signal_pass_on(signal, info, context);
        return;
    }

    if (store.object != NULL) {
        softefa_signal_call(context, doorbell_stored, &store);
    }
    store_skip(context, length);
    errno = saved_errno;
}

static void doorbell_fork_prepare(void)
{
    pthread_mutex_lock(&doorbell_lock);
}

static void doorbell_fork_parent(void)
{
    pthread_mutex_unlock(&doorbell_lock);
}

/* The objects are the parent's: a store rings nothing. */
static void doorbell_fork_child(void)
{
    unsigned i;

    for (i = 0; i < MAX_DOORBELLS; ++i) {
        atomic_store(&doorbells[i].object, NULL);
    }
    softefa_signal_fork_child();
    pthread_mutex_unlock(&doorbell_lock);
}

/* Locked: the page, once */
static int doorbell_begin(void)
{
    void *page;

    if (trap_page == NULL) {
        page = mmap(NULL, MAX_DOORBELLS * sizeof(uint32_t), PROT_READ,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return ENOMEM;
        }

        pthread_atfork(doorbell_fork_prepare, doorbell_fork_parent,
                       doorbell_fork_child);
        atomic_store(&trap_page, page);
    }

    softefa_signal_begin(doorbell_trap);
    return 0;
}

/* Locked: that of the object, or a free one. NULL: there is none */
static doorbell_t *doorbell_of(const void *object)
{
    doorbell_t *doorbell, *found = NULL;

    for (doorbell = doorbells; doorbell < &doorbells[MAX_DOORBELLS];
         ++doorbell) {
        if (doorbell->object == object) {
            return doorbell;
        } else if ((found == NULL) && (doorbell->object == NULL)) {
            found = doorbell;
        }
    }
    return found;
}

uint32_t *softefa_doorbell_add(void *object, uint32_t *real,
                               void (*stored)(void *object, uint32_t value))
{
    doorbell_t *doorbell;
    uint32_t *word = NULL;

    pthread_mutex_lock(&doorbell_lock);
    if ((doorbell_begin() == 0) && ((doorbell = doorbell_of(object)) != NULL)) {
        doorbell->real   = (_Atomic uint32_t *)real;
        doorbell->stored = stored;
        atomic_store(&doorbell->object, object);
        word = trap_page + (doorbell - doorbells);
    }
    pthread_mutex_unlock(&doorbell_lock);

    if (word == NULL) {
        softefa_error("more than %d queues whose doorbells the program rings "
                      "itself, or no memory",
                      MAX_DOORBELLS);
    }
    return word;
}

void softefa_doorbell_remove(const void *object)
{
    unsigned i;

    if (atomic_load(&trap_page) == NULL) {
        return;
    }

    pthread_mutex_lock(&doorbell_lock);
    for (i = 0; i < MAX_DOORBELLS; ++i) {
        if (doorbells[i].object == object) {
            atomic_store(&doorbells[i].object, NULL);
        }
    }
    pthread_mutex_unlock(&doorbell_lock);
}
