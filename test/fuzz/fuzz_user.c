/*
 * The local program: opens the interface, makes endpoints, sends, closes, keeps
 * messages, and does more of that in its handlers. It never breaks UCT's rules;
 * what it asks for may fail.
 */
#include "fuzz.h"

#include "base/md/efa_md.h"
#include "srd/uct/srd_ep.h"
#include "srd/peer/srd_names.h"
#include "srd/peer/srd_peer.h"

#include <stdlib.h>
#include <string.h>

void ucx_efasrd_register(void);

#define MAX_EPS      16u
#define MAX_KEPT     24u
#define MAX_CONNECTS 512u
#define HEADROOM     24u

/* An operation with a completion, or a flush */
typedef struct user_op {
    uct_completion_t comp;
    struct user_op   *next;
    void             *memory;
    uct_mem_h        memh;
    unsigned         length;
    int              done;
} user_op_t;

typedef struct {
    uct_ep_h ep;
    int      is_honest;
    int      is_cancelled;               /* flushed so: sends nothing        */
    int      told;
} user_ep_t;

typedef struct {
    uct_pending_req_t super;
    unsigned          ep;
    unsigned          length;
} user_pending_t;

uct_srd_iface_t *fuzz_iface;
uct_md_h        fuzz_md;

static struct {
    ucs_async_context_t *async;
    uct_worker_h        worker;
    uct_iface_config_t  *config;
    uct_iface_h         iface;
    user_ep_t           eps[MAX_EPS];
    user_op_t           *ops;
    unsigned            num_ops;         /* not done                         */
    unsigned            num_pending;
    struct {
        void            *data;
        unsigned        length;
        int             is_honest;
    } kept[MAX_KEPT];
    unsigned            num_kept;
    unsigned            keep;
    unsigned            in_handler;      /* what to do, how often            */
    unsigned            depth;           /* of handlers                      */
    struct {
        uint8_t         gid[16];
        uint16_t        qpn;
    } connects[MAX_CONNECTS];
    unsigned            num_connects;
    int                 few_bufs;        /* a copy may not be possible       */
    uint8_t             copy[FUZZ_MAX_MSG];
} user;

/* ---- life -------------------------------------------------------------- */

static ucs_log_func_rc_t user_log(const char *file, unsigned line,
                                  const char *function, ucs_log_level_t level,
                                  const ucs_log_component_config_t *config,
                                  const char *message, va_list ap)
{
    if (fuzz_verbose && (strncmp(message, "srd:", 4) == 0)) {
        printf("    log: ");
        vprintf(message, ap);
        printf("\n");
    }
    return UCS_LOG_FUNC_RC_STOP;
}

void fuzz_user_setup(void)
{
    ucs_status_t status;

    ucs_debug_disable_signals();
    ucs_log_push_handler(user_log);
    setenv("UCX_SRD_ALLOC", "heap", 1);
    setenv("UCX_SRD_FAILURE", "diag", 1);
    setenv("UCX_SRD_DIRECT", fuzz_direct ? "try" : "n", 1);
    ucs_global_opts.log_component.log_level = fuzz_verbose ?
                                                      UCS_LOG_LEVEL_DEBUG :
                                                      UCS_LOG_LEVEL_DIAG;
    status = ucs_async_context_create(UCS_ASYNC_MODE_THREAD_SPINLOCK,
                                      &user.async);
    FUZZ_CHECK(status == UCS_OK, "async context");
}

static user_ep_t *user_ep_of(uct_ep_h ep)
{
    unsigned i;

    for (i = 0; i < MAX_EPS; ++i) {
        if (user.eps[i].ep == ep) {
            return &user.eps[i];
        }
    }
    return NULL;
}

static void user_handler(uct_ep_h ep);

static ucs_status_t user_ep_failed(void *arg, uct_ep_h ep, ucs_status_t status)
{
    user_ep_t *entry = user_ep_of(ep);

    FUZZ_SAY("    endpoint %p fails: %s\n", ep, ucs_status_string(status));
    FUZZ_CHECK(entry != NULL, "the failure of an endpoint that is closed");
    FUZZ_CHECK(!entry->told, "an endpoint fails twice");
    FUZZ_CHECK(!entry->is_honest || fuzz_honest_end(status),
               "the endpoint to the honest peer fails: %s",
               ucs_status_string(status));
    FUZZ_CHECK(UCS_STATUS_IS_ERR(status), "a failure without a cause");
    entry->told = 1;
    user_handler(ep);
    return UCS_OK;
}

static ucs_status_t user_am(void *arg, void *data, size_t length,
                            unsigned flags)
{
    unsigned id = (uintptr_t)arg;

    FUZZ_SAY("    message of %zu bytes, id %u\n", length, id);
    FUZZ_CHECK(length <= FUZZ_MAX_MSG, "a message of %zu bytes", length);
    memcpy(user.copy, data, length); /* all of it can be read */
    if (id == FUZZ_AM_HONEST) {
        fuzz_honest_arrived(data, length);
    }

    if ((user.keep > 0) && (flags & UCT_CB_PARAM_FLAG_DESC) &&
        (user.num_kept < MAX_KEPT)) {
        --user.keep;
        memset(UCS_PTR_BYTE_OFFSET(data, -(ptrdiff_t)HEADROOM), 0x77, HEADROOM);
        user.kept[user.num_kept].data      = data;
        user.kept[user.num_kept].length    = length;
        user.kept[user.num_kept].is_honest = (id == FUZZ_AM_HONEST);
        ++user.num_kept;
        user_handler(NULL);
        return UCS_INPROGRESS;
    }

    user_handler(NULL);
    return UCS_OK;
}

void fuzz_user_open(const fuzz_config_t *config)
{
    uct_iface_params_t params = {
        .field_mask  = UCT_IFACE_PARAM_FIELD_OPEN_MODE |
                       UCT_IFACE_PARAM_FIELD_DEVICE |
                       UCT_IFACE_PARAM_FIELD_RX_HEADROOM |
                       UCT_IFACE_PARAM_FIELD_ERR_HANDLER |
                       UCT_IFACE_PARAM_FIELD_ERR_HANDLER_ARG |
                       UCT_IFACE_PARAM_FIELD_ERR_HANDLER_FLAGS,
        .open_mode   = UCT_IFACE_OPEN_MODE_DEVICE,
        .mode.device = {.tl_name = "srd", .dev_name = "fuzz0:1"},
        .rx_headroom = HEADROOM,
        .err_handler = user_ep_failed
    };
    uct_efa_md_config_t md_config;
    uct_srd_iface_config_t *iface_config;
    ucs_status_t status;
    unsigned id;

    memset(&md_config, 0, sizeof(md_config));
    md_config.stats = UCT_EFA_STATS_NO;
    status          = uct_efa_component.md_open(&uct_efa_component, "fuzz0",
                                                &md_config.super, &fuzz_md);
    FUZZ_CHECK(status == UCS_OK, "md: %s", ucs_status_string(status));
    status = uct_worker_create(user.async, UCS_THREAD_MODE_SINGLE,
                               &user.worker);
    FUZZ_CHECK(status == UCS_OK, "worker: %s", ucs_status_string(status));

    if (user.config == NULL) {
        ucx_efasrd_register(); /* as loader/module.c does it */
        status = uct_md_iface_config_read(fuzz_md, "srd", NULL, NULL,
                                          &user.config);
        FUZZ_CHECK(status == UCS_OK, "config: %s", ucs_status_string(status));
    }

    iface_config = ucs_derived_of(user.config, uct_srd_iface_config_t);
    iface_config->tx.queue_len     = config->queue_len;
    iface_config->tx.window        = 64;
    iface_config->tx.retry_count   = config->retry_count;
    iface_config->tx.mp.max_bufs   = config->tx_bufs;
    user.few_bufs                  = (config->tx_bufs < FUZZ_MAX_SENDS);
    iface_config->tx.mp.bufs_grow  = 1;
    /* Who is lost stays so as long as the honest one may be: years */
    iface_config->recovery_timeout = (config->retry_count > 100) ? 1e6 : 10;
    iface_config->gone_timeout     = iface_config->recovery_timeout / 5;
    iface_config->rx.queue_len     = config->rx_len;
    iface_config->rx.window        = config->window;
    iface_config->rx.batch         = config->rx_batch;
    iface_config->rx.mp.max_bufs   = config->rx_max;
    iface_config->rx.mp.bufs_grow  = 1;
    iface_config->events           = UCS_NO;

    status = uct_iface_open(fuzz_md, user.worker, &params, user.config,
                            &user.iface);
    FUZZ_CHECK(status == UCS_OK, "iface: %s", ucs_status_string(status));
    fuzz_iface = ucs_derived_of(user.iface, uct_srd_iface_t);

    FUZZ_CHECK(!(fuzz_iface->queues.self.qkey & 0x80000000u) &&
                       fuzz_device_gave(fuzz_iface->queues.self.qkey,
                                        0x7fffffffu),
               "QKEY 0x%x does not come from the kernel",
               fuzz_iface->queues.self.qkey);

    for (id = 0; id < UCT_AM_ID_MAX; ++id) {
        uct_iface_set_am_handler(user.iface, id, user_am, (void *)(uintptr_t)id,
                                 0);
    }
}

static void user_ops_reap(int all)
{
    user_op_t **op_p = &user.ops;
    user_op_t *op;

    while ((op = *op_p) != NULL) {
        if (!op->done || (!all && (op->comp.status == UCS_ERR_CANCELED))) {
            op_p = &op->next;
            continue;
        }

        *op_p = op->next;
        if (op->memory != NULL) {
            uct_md_mem_dereg(fuzz_md, op->memh);
            free(op->memory);
        }
        free(op);
    }
}

void fuzz_user_close(void)
{
    uct_efa_ah_stats_t ahs;
    unsigned i;

    fuzz_user_release(MAX_KEPT);
    user.in_handler = 0;
    user.keep       = 0;
    user.few_bufs   = 0; /* nothing is under way */
    for (i = 0; i < MAX_EPS; ++i) {
        fuzz_user_disconnect(i);
    }

    fuzz_device.idle_step = 20000000;
    uct_iface_close(user.iface);
    fuzz_iface = NULL;
    FUZZ_CHECK(user.num_ops == 0, "%u operations have not completed",
               user.num_ops);
    FUZZ_CHECK(user.num_pending == 0, "%u pending requests are lost",
               user.num_pending);
    user_ops_reap(1);

    uct_efa_ah_cache_stats(ucs_derived_of(fuzz_md, uct_efa_md_t)->context->ahs,
                           &ahs);
    FUZZ_CHECK(ahs.used == 0, "%u address handles are in use", ahs.used);
    FUZZ_CHECK(fuzz_device.num_mrs == 0, "%u registrations are left",
               fuzz_device.num_mrs);
    uct_worker_destroy(user.worker);
    uct_md_close(fuzz_md);
    user.num_connects = 0;
}

/* ---- endpoints --------------------------------------------------------- */

int fuzz_user_knows(const void *gid, uint32_t qpn)
{
    unsigned i;

    for (i = 0; i < user.num_connects; ++i) {
        if ((user.connects[i].qpn == qpn) &&
            (memcmp(user.connects[i].gid, gid, 16) == 0)) {
            return 1;
        }
    }
    return 0;
}

unsigned fuzz_user_num_ops(void)
{
    return user.num_ops;
}

unsigned fuzz_user_num_connects(void)
{
    return user.num_connects;
}

void fuzz_user_connect(unsigned choice, unsigned bits)
{
    uct_srd_iface_addr_t addr = {.version = UCT_SRD_WIRE_VERSION};
    uint8_t iface_addr[UCT_SRD_IFACE_ADDR_LEN];
    unsigned who = (choice % 8 < 3) ? FUZZ_HONEST : (choice % FUZZ_WHO_NUM);
    uint8_t gid[16];
    uct_ep_params_t params = {
        .field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                      UCT_EP_PARAM_FIELD_IFACE_ADDR,
        .iface      = user.iface,
        .dev_addr   = (const uct_device_addr_t*)gid,
        .iface_addr = (const uct_iface_addr_t*)iface_addr
    };
    int is_honest = (who == FUZZ_HONEST);
    ucs_status_t status;
    unsigned i;

    for (i = 0; (i < MAX_EPS) && (user.eps[i].ep != NULL); ++i) {
    }
    if ((i == MAX_EPS) || (user.num_connects == MAX_CONNECTS)) {
        return;
    }

    memcpy(gid, fuzz_who[who].gid, sizeof(gid));
    addr.qpn  = fuzz_who[who].qpn;
    addr.qkey = fuzz_who[who].qkey;
    switch (choice / 8 % 8) {
    case 1: /* a wrong or stale key */
        addr.qkey = (addr.qkey + 1 + bits % 3) & UCT_SRD_QKEY_MASK;
        is_honest = 0;
        break;
    case 2: /* nobody there */
        gid[14]   = 1 + (bits % 16);
        addr.qpn  = bits;
        is_honest = 0;
        break;
    case 3: /* refused by the device */
        gid[0]    = 0;
        is_honest = 0;
        break;
    case 4:
        addr.version = 1 + (bits & 1);
        break;
    case 5: /* its first address, whatever befell it since */
        addr.qpn = is_honest ? FUZZ_HONEST_QPN(0) : addr.qpn;
        break;
    }

    uct_srd_iface_addr_pack(&addr, iface_addr);
    status = uct_ep_create(&params, &user.eps[i].ep);
    FUZZ_SAY("    endpoint %u to %u%s: %s\n", i, who,
             is_honest ? ", honest" : "", ucs_status_string(status));
    if (status != UCS_OK) {
        user.eps[i].ep = NULL;
        return;
    }

    user.eps[i].is_honest    = is_honest && !fuzz_honest_is_over();
    user.eps[i].is_cancelled = 0;
    user.eps[i].told         = 0;
    memcpy(user.connects[user.num_connects].gid, gid, sizeof(gid));
    user.connects[user.num_connects++].qpn = addr.qpn;
}

static user_ep_t *user_ep(unsigned choice)
{
    user_ep_t *entry;
    unsigned i;

    for (i = 0; i < MAX_EPS; ++i) {
        entry = &user.eps[(choice + i) % MAX_EPS];
        if (entry->ep != NULL) {
            entry->is_honest &= !fuzz_honest_is_over();
            return entry;
        }
    }
    return NULL;
}

static void user_purged(uct_pending_req_t *req, void *arg)
{
    --user.num_pending;
    free(ucs_container_of(req, user_pending_t, super));
}

void fuzz_user_disconnect(unsigned choice)
{
    user_ep_t *entry = user_ep(choice);
    uct_srd_peer_t *peer;
    uct_ep_h ep;
    int who;

    if (entry == NULL) {
        return;
    }

    ep   = entry->ep;
    peer = ucs_derived_of(ep, uct_srd_ep_t)->peer;
    who  = fuzz_who_find(peer->ident.gid, peer->ident.qpn);
    if (entry->is_honest && (ucs_derived_of(ep, uct_srd_ep_t)->zcopy > 0) &&
        user.few_bufs) {
        return; /* without a copy of its messages that is the end of it */
    }
    if (who >= 0) {
        ++fuzz_who[who].excuses;
    }

    FUZZ_SAY("    close endpoint %zd\n", entry - user.eps);
    uct_ep_pending_purge(ep, user_purged, NULL);
    entry->ep = NULL;
    ++user.depth; /* completions are called: no closing within closing */
    uct_ep_destroy(ep);
    --user.depth;
}

/* What a handler does; ep: the one that failed */
static void user_handler(uct_ep_h ep)
{
    unsigned what = user.in_handler;

    if ((what == 0) || (user.depth > 0)) {
        return;
    }

    user.in_handler = what >> 4;
    ++user.depth;
    switch (what & 7) {
    case 1:
    case 2:
        --user.depth;
        if (ep != NULL) {
            fuzz_user_disconnect(user_ep_of(ep) - user.eps);
        } else {
            fuzz_user_disconnect(what >> 4);
        }
        ++user.depth;
        break;
    case 3:
    case 4:
        fuzz_user_am(what >> 4, what & 3, 100, 0);
        break;
    case 5:
        fuzz_user_connect(what >> 4, 0);
        break;
    case 6:
        fuzz_user_release(1);
        break;
    case 7: /* progress would be against UCX's rules */
        fuzz_user_pending(what >> 4, 1);
        break;
    }
    --user.depth;
}

void fuzz_user_in_handler(unsigned what)
{
    user.in_handler = what;
}

/* ---- operations -------------------------------------------------------- */

static void user_completed(uct_completion_t *self)
{
    user_op_t *op = ucs_container_of(self, user_op_t, comp);

    FUZZ_CHECK(!op->done, "an operation completes twice");
    op->done = 1;
    --user.num_ops;
    user_handler(NULL);
}

static user_op_t *user_op_new(unsigned length)
{
    user_op_t *op       = calloc(1, sizeof(*op));
    ucs_status_t status = UCS_ERR_NO_MEMORY;
    int i;

    op->comp.func   = user_completed;
    op->comp.count  = 1;
    op->comp.status = UCS_OK;
    op->length      = length;
    if (length > 0) {
        op->memory = malloc(length);
        memset(op->memory, 0x42, length);
        /* Twice, if an allocation fails */
        for (i = 0; (i < 2) && (status == UCS_ERR_NO_MEMORY); ++i) {
            status = uct_md_mem_reg(fuzz_md, op->memory, length,
                                    UCT_MD_MEM_ACCESS_ALL, &op->memh);
        }
        FUZZ_CHECK(status == UCS_OK, "registration: %s",
                   ucs_status_string(status));
    }
    op->next = user.ops;
    user.ops = op;
    ++user.num_ops;
    return op;
}

/* Not INPROGRESS: the completion will not be called */
static void user_op_returned(user_op_t *op, ucs_status_t status)
{
    if (status != UCS_INPROGRESS) {
        FUZZ_CHECK(!op->done, "completed, and says %s",
                   ucs_status_string(status));
        op->done        = 1;
        op->comp.status = UCS_OK;
        --user.num_ops;
    }
}

typedef struct {
    uint8_t  data[FUZZ_MAX_MSG];
    unsigned length;
} user_pack_t;

static size_t user_pack(void *dest, void *arg)
{
    user_pack_t *pack = arg;

    memcpy(dest, pack->data, pack->length);
    return pack->length;
}

static void user_unpack(void *arg, const void *data, size_t length)
{
    user_op_t *op = arg;

    FUZZ_CHECK(!op->done, "unpacked after completion");
    FUZZ_CHECK((length > 0) && (((uint8_t *)data)[length - 1] == 0xdd),
               "a get of %zu bytes brings something else", length);
}

void fuzz_user_am(unsigned choice, unsigned kind, unsigned length,
                  unsigned bits)
{
    user_ep_t *entry = user_ep(choice);
    user_pack_t pack = {.length = ucs_min(length, FUZZ_MAX_MSG)};
    uint8_t id       = 2 + (bits % 30);
    user_op_t *op    = NULL;
    unsigned header  = 0;
    uct_iov_t iov    = {.count = 1};
    ucs_status_t status;
    ssize_t packed;

    if (entry == NULL) {
        return;
    }

    kind %= 4;
    if ((kind == 0) || (kind == 3)) {
        pack.length = ucs_min(pack.length, UCT_SRD_INLINE_AREA);
    }
    if (kind == 0) {
        pack.length = ucs_max(pack.length, sizeof(uint64_t));
    }
    if (entry->is_honest) {
        id          = FUZZ_AM_HONEST;
        pack.length = ucs_max(pack.length, 16u);
        fuzz_honest_fill(pack.data, fuzz_honest_expect(), pack.length);
    }

    switch (kind) {
    case 0:
        status = uct_ep_am_short(entry->ep, id, *(uint64_t *)pack.data,
                                 pack.data + sizeof(uint64_t),
                                 pack.length - sizeof(uint64_t));
        break;
    case 1:
        packed = uct_ep_am_bcopy(entry->ep, id, user_pack, &pack, 0);
        status = (packed < 0) ? (ucs_status_t)packed : UCS_OK;
        break;
    case 2:
        header = ucs_min(bits * 3 % 64, pack.length);
        op     = user_op_new(pack.length - header);
        if (op->length > 0) {
            memcpy(op->memory, pack.data + header, op->length);
        }
        iov.buffer = op->memory;
        iov.length = op->length;
        iov.memh   = op->memh;
        status     = uct_ep_am_zcopy(entry->ep, id, pack.data, header, &iov,
                                     op->length > 0, 0, &op->comp);
        user_op_returned(op, status);
        break;
    default:
        iov.buffer = pack.data;
        iov.length = pack.length;
        status     = uct_ep_am_short_iov(entry->ep, id, &iov, 1);
        break;
    }

    FUZZ_SAY("    am %u of %u bytes on %zd: %s\n", kind, pack.length,
             entry - user.eps, ucs_status_string(status));
    FUZZ_CHECK(!entry->is_cancelled || UCS_STATUS_IS_ERR(status),
               "a cancelled endpoint sends");
    if (entry->is_honest && (status != UCS_OK) && (status != UCS_INPROGRESS)) {
        fuzz_honest_unexpect();
        FUZZ_CHECK((status == UCS_ERR_NO_RESOURCE) ||
                           (entry->is_cancelled &&
                            (status == UCS_ERR_CANCELED)) ||
                           fuzz_honest_end(status),
                   "to the honest peer: %s", ucs_status_string(status));
    }
}

static uct_rkey_t user_rkey(void)
{
    uint8_t packed[16] = {1, 3, 0x44, 0x33, 0x22, 0x11};
    uct_rkey_t rkey    = 0;
    void *handle;

    uct_efa_rkey_unpack(packed, &rkey, &handle);
    return rkey;
}

void fuzz_user_rma(unsigned choice, unsigned kind, unsigned length)
{
    user_ep_t *entry = user_ep(choice);
    user_pack_t pack = {.length = ucs_min(length, FUZZ_MAX_MSG)};
    uct_iov_t iov    = {.count = 1};
    ucs_status_t status;
    user_op_t *op;
    ssize_t packed;

    if ((entry == NULL) || !fuzz_device.has_rdma) {
        return;
    }

    switch (kind % 5) {
    case 0:
        status = uct_ep_put_short(entry->ep, pack.data,
                                  ucs_min(pack.length, UCT_SRD_INLINE_AREA),
                                  0x1000, user_rkey());
        break;
    case 1:
        packed = uct_ep_put_bcopy(entry->ep, user_pack, &pack, 0x2000,
                                  user_rkey());
        status = (packed < 0) ? (ucs_status_t)packed : UCS_OK;
        break;
    case 2:
        op     = user_op_new(0);
        status = uct_ep_get_bcopy(entry->ep, user_unpack, op, pack.length,
                                  0x3000, user_rkey(), &op->comp);
        user_op_returned(op, status);
        break;
    default:
        op         = user_op_new(1 + length * 5);
        iov.buffer = op->memory;
        iov.length = op->length;
        iov.memh   = op->memh;
        status = (kind % 5 == 3) ? uct_ep_put_zcopy(entry->ep, &iov, 1, 0x4000,
                                                    user_rkey(), &op->comp) :
                                   uct_ep_get_zcopy(entry->ep, &iov, 1, 0x5000,
                                                    user_rkey(), &op->comp);
        user_op_returned(op, status);
        break;
    }
    FUZZ_SAY("    rma %u on %zd: %s\n", kind % 5, entry - user.eps,
             ucs_status_string(status));
}

void fuzz_user_flush(unsigned choice, unsigned kind)
{
    user_ep_t *entry = user_ep(choice);
    unsigned flags = (kind & 1) ? UCT_FLUSH_FLAG_CANCEL : UCT_FLUSH_FLAG_LOCAL;
    ucs_status_t status;
    user_op_t *op;

    if (kind % 8 == 7) {
        uct_iface_flush(user.iface, 0, NULL);
        return;
    }
    if (entry == NULL) {
        return;
    }

    if (kind & 2) {
        uct_ep_flush(entry->ep, UCT_FLUSH_FLAG_LOCAL, NULL);
        return;
    }

    entry->is_cancelled |= !!(flags & UCT_FLUSH_FLAG_CANCEL);
    op = user_op_new(0);
    ++user.depth; /* nobody closes an endpoint while it is being flushed */
    status = uct_ep_flush(entry->ep, flags, &op->comp);
    --user.depth;
    user_op_returned(op, status);
    FUZZ_SAY("    flush %u on %zd: %s\n", flags, entry - user.eps,
             ucs_status_string(status));
}

void fuzz_user_fence(unsigned choice, unsigned kind)
{
    user_ep_t *entry = user_ep(choice);

    if (kind & 1) {
        uct_iface_fence(user.iface, 0);
    } else if (entry != NULL) {
        uct_ep_fence(entry->ep, 0);
    }
}

void fuzz_user_check(unsigned choice, unsigned kind)
{
    user_ep_t *entry = user_ep(choice);
    uct_srd_peer_t *peer;
    int who;

    if (entry == NULL) {
        return;
    }

    if ((kind & 1) || entry->is_honest) {
        uct_ep_check(entry->ep, 0, NULL);
        return;
    }

    peer = ucs_derived_of(entry->ep, uct_srd_ep_t)->peer;
    who  = fuzz_who_find(peer->ident.gid, peer->ident.qpn);
    if (who >= 0) {
        ++fuzz_who[who].excuses;
    }
    FUZZ_SAY("    invalidate %zd\n", entry - user.eps);
    uct_srd_ep_invalidate(entry->ep);
}

/* ---- pending ----------------------------------------------------------- */

static ucs_status_t user_pending_func(uct_pending_req_t *self)
{
    user_pending_t *req = ucs_container_of(self, user_pending_t, super);
    user_ep_t *entry    = &user.eps[req->ep];
    uint8_t data[UCT_SRD_INLINE_AREA] = {0};
    unsigned length                   = 16 + (req->length % 100);
    uint8_t id                        = 9;
    ucs_status_t status;

    FUZZ_CHECK(entry->ep != NULL, "a pending request of a closed endpoint");
    entry->is_honest &= !fuzz_honest_is_over();
    if (entry->is_honest) {
        id = FUZZ_AM_HONEST;
        fuzz_honest_fill(data, fuzz_honest_expect(), length);
    }
    status = uct_ep_am_short(entry->ep, id, *(uint64_t *)data, data + 8,
                             length - 8);
    FUZZ_SAY("    pending on %u: %s\n", req->ep, ucs_status_string(status));
    if ((status != UCS_OK) && entry->is_honest) {
        fuzz_honest_unexpect();
        FUZZ_CHECK((status == UCS_ERR_NO_RESOURCE) ||
                           (entry->is_cancelled &&
                            (status == UCS_ERR_CANCELED)) ||
                           fuzz_honest_end(status),
                   "to the honest peer: %s", ucs_status_string(status));
    }
    if (status == UCS_ERR_NO_RESOURCE) {
        return status;
    }

    --user.num_pending;
    free(req);
    return UCS_OK;
}

void fuzz_user_pending(unsigned choice, unsigned count)
{
    user_ep_t *entry = user_ep(choice);
    user_pending_t *req;

    for (; (entry != NULL) && (count > 0) && (user.num_pending < 64); --count) {
        req             = calloc(1, sizeof(*req));
        req->super.func = user_pending_func;
        req->ep         = entry - user.eps;
        req->length     = count * 37;
        if (uct_ep_pending_add(entry->ep, &req->super, 0) != UCS_OK) {
            free(req);
            return;
        }
        ++user.num_pending;
    }
}

/* ---- receiving --------------------------------------------------------- */

void fuzz_user_keep(unsigned count)
{
    user.keep = count;
}

unsigned fuzz_user_num_kept(void)
{
    return user.num_kept;
}

void fuzz_user_release(unsigned count)
{
    unsigned i;
    void *data;

    for (; (count > 0) && (user.num_kept > 0); --count) {
        i    = (count * 5) % user.num_kept;
        data = user.kept[i].data;
        FUZZ_CHECK(!user.kept[i].is_honest ||
                           fuzz_honest_is_intact(data, user.kept[i].length),
                   "a kept message has changed");
        memset(data, 0x99, user.kept[i].length);
        user.kept[i] = user.kept[--user.num_kept];
        uct_iface_release_desc(UCS_PTR_BYTE_OFFSET(data, -(ptrdiff_t)HEADROOM));
    }
}

unsigned fuzz_user_progress(void)
{
    unsigned count = uct_iface_progress(user.iface);

    if (user.depth == 0) {
        user_ops_reap(0);
    }
    return count;
}
