/*
 * For options.sh: whatever the options in the environment are, does the
 * transport work? Two workers of one process exchange messages of all kinds
 * (short, copied, rendezvous, more than a queue holds), put and get, both ways,
 * with everything checked.
 *
 *   option_try [-q]          -q: one message each way, no more
 *
 * Ends with 0 if all went through, with 1 and a line if an operation failed,
 * with 3 and a line if what arrived is not what was sent. It waits without end:
 * who starts it knows how long that may take.
 */
#include <ucp/api/ucp.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUM   2                  /* workers */
#define BURST 700                /* messages: more than the default queue */
#define LARGE (256u << 10)

typedef struct {
    ucp_worker_h  worker;
    ucp_address_t *address;
    size_t        address_length;
    ucp_ep_h      ep;            /* to the other one */
    ucp_mem_h     memh;
    ucp_rkey_h    rkey;          /* of the other one's memory */
    uint8_t       *memory;       /* LARGE bytes, the other one's target */
} side_t;

static ucp_context_h context;
static side_t sides[NUM];

static void die(const char *what, ucs_status_t status)
{
    fprintf(stderr, "option_try: %s: %s\n", what, ucs_status_string(status));
    exit(1);
}

static void check(const char *what, ucs_status_t status)
{
    if (status != UCS_OK) {
        die(what, status);
    }
}

static void wrong(const char *what, size_t where)
{
    fprintf(stderr, "option_try: %s: wrong data at byte %zu\n", what, where);
    exit(3);
}

static void progress(void)
{
    ucp_worker_progress(sides[0].worker);
    ucp_worker_progress(sides[1].worker);
}

static void finish(const char *what, ucs_status_ptr_t request)
{
    ucs_status_t status;

    if (!UCS_PTR_IS_PTR(request)) {
        check(what, UCS_PTR_STATUS(request));
        return;
    }

    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS) {
        progress();
    }
    ucp_request_free(request);
    check(what, status);
}

static uint8_t byte_at(unsigned seed, size_t i)
{
    return (uint8_t)((i * 31) + (i >> 8) + (seed * 7) + 1);
}

static void fill(uint8_t *data, size_t length, unsigned seed)
{
    size_t i;

    for (i = 0; i < length; ++i) {
        data[i] = byte_at(seed, i);
    }
}

static void compare(const char *what, const uint8_t *data, size_t length,
                    unsigned seed)
{
    size_t i;

    for (i = 0; i < length; ++i) {
        if (data[i] != byte_at(seed, i)) {
            wrong(what, i);
        }
    }
}

static void *allocate(size_t length)
{
    void *memory = calloc(1, length);

    if (memory == NULL) {
        die("memory of the test", UCS_ERR_NO_MEMORY);
    }
    return memory;
}

/* One message from a side to the other */
static void message(unsigned from, size_t length, unsigned seed)
{
    static const ucp_request_param_t param;
    uint8_t *sent = allocate(length), *received = allocate(length);
    ucs_status_ptr_t send, receive;

    fill(sent, length, seed);
    receive = ucp_tag_recv_nbx(sides[!from].worker, received, length, 1, -1,
                               &param);
    send    = ucp_tag_send_nbx(sides[from].ep, sent, length, 1, &param);
    finish("tag send", send);
    finish("tag receive", receive);
    compare("tag message", received, length, seed);
    free(sent);
    free(received);
}

static void burst(unsigned from, unsigned num)
{
    static const ucp_request_param_t param;
    uint64_t *sent             = allocate(num * sizeof(*sent));
    uint64_t *received         = allocate(num * sizeof(*received));
    ucs_status_ptr_t *sends    = allocate(num * sizeof(*sends));
    ucs_status_ptr_t *receives = allocate(num * sizeof(*receives));
    unsigned i;

    for (i = 0; i < num; ++i) {
        sent[i]  = i + 1;
        sends[i] = ucp_tag_send_nbx(sides[from].ep, &sent[i], sizeof(*sent), 1,
                                    &param);
    }
    for (i = 0; i < num; ++i) {
        receives[i] = ucp_tag_recv_nbx(sides[!from].worker, &received[i],
                                       sizeof(*received), 1, -1, &param);
    }
    for (i = 0; i < num; ++i) {
        finish("tag send of many", sends[i]);
        finish("tag receive of many", receives[i]);
        if (received[i] != i + 1) {
            wrong("message of many", i);
        }
    }
    free(sent);
    free(received);
    free(sends);
    free(receives);
}

static void put_get(unsigned from, size_t length, unsigned seed)
{
    static const ucp_request_param_t param;
    side_t *side    = &sides[from];
    uint8_t *target = sides[!from].memory;
    uint8_t *local  = allocate(length);

    fill(local, length, seed);
    memset(target, 0, length);
    finish("put", ucp_put_nbx(side->ep, local, length, (uintptr_t)target,
                              side->rkey, &param));
    finish("flush", ucp_ep_flush_nbx(side->ep, &param));
    compare("put", target, length, seed);

    memset(local, 0, length);
    finish("get", ucp_get_nbx(side->ep, local, length, (uintptr_t)target,
                              side->rkey, &param));
    compare("get", local, length, seed);
    free(local);
}

static void open_all(void)
{
    const ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES,
        .features   = UCP_FEATURE_TAG | UCP_FEATURE_RMA
    };
    const ucp_worker_params_t worker_params = {.field_mask = 0};
    ucp_mem_map_params_t map_params         = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                      UCP_MEM_MAP_PARAM_FIELD_LENGTH,
        .length     = LARGE
    };
    ucp_ep_params_t ep_params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS
    };
    ucp_config_t *config;
    void *buffer;
    size_t length;
    unsigned i;

    check("ucp_config_read", ucp_config_read(NULL, NULL, &config));
    check("ucp_init", ucp_init(&params, config, &context));
    ucp_config_release(config);

    for (i = 0; i < NUM; ++i) {
        sides[i].memory    = allocate(LARGE);
        map_params.address = sides[i].memory;
        check("ucp_mem_map", ucp_mem_map(context, &map_params, &sides[i].memh));
        check("ucp_worker_create",
              ucp_worker_create(context, &worker_params, &sides[i].worker));
        check("ucp_worker_get_address",
              ucp_worker_get_address(sides[i].worker, &sides[i].address,
                                     &sides[i].address_length));
    }

    for (i = 0; i < NUM; ++i) {
        ep_params.address = sides[!i].address;
        check("ucp_ep_create",
              ucp_ep_create(sides[i].worker, &ep_params, &sides[i].ep));
        check("ucp_rkey_pack",
              ucp_rkey_pack(context, sides[!i].memh, &buffer, &length));
        check("ucp_ep_rkey_unpack",
              ucp_ep_rkey_unpack(sides[i].ep, buffer, &sides[i].rkey));
        ucp_rkey_buffer_release(buffer);
    }
}

static void close_all(void)
{
    static const ucp_request_param_t param;
    ucs_status_ptr_t closes[NUM];
    unsigned i;

    for (i = 0; i < NUM; ++i) {
        ucp_rkey_destroy(sides[i].rkey);
        closes[i] = ucp_ep_close_nbx(sides[i].ep, &param);
    }
    for (i = 0; i < NUM; ++i) {
        finish("ucp_ep_close", closes[i]);
    }
    for (i = 0; i < NUM; ++i) {
        ucp_worker_release_address(sides[i].worker, sides[i].address);
        ucp_worker_destroy(sides[i].worker);
        check("ucp_mem_unmap", ucp_mem_unmap(context, sides[i].memh));
        free(sides[i].memory);
    }
    ucp_cleanup(context);
}

int main(int argc, char **argv)
{
    bool quick = (argc > 1) && (strcmp(argv[1], "-q") == 0);
    unsigned i;

    open_all();
    for (i = 0; i < NUM; ++i) {
        message(i, 8, i);
    }
    for (i = 0; !quick && (i < NUM); ++i) {
        message(i, 0, 1);
        message(i, 1000, i + 2);
        message(i, 8000, i + 4);
        message(i, LARGE, i + 6);
        burst(i, BURST);
        put_get(i, 8, i + 8);
        put_get(i, 3000, i + 10);
        put_get(i, LARGE, i + 12);
    }
    close_all();
    return 0;
}
