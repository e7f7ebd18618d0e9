/*
 * A process of peers (scale.h): interfaces with small queues, on all devices
 * but the first, in turn.
 */
#include "scale.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define PAGE 4096

typedef struct {
    uct_iface_h iface;
    uct_ep_h    ep;
    uint32_t    said;        /* messages with data                             */
} peer_t;

static peer_t *peers;
static unsigned num_peers, first_peer;

static void tell(int fd)
{
    scale_address_t address;
    unsigned i;

    for (i = 0; i < num_peers; ++i) {
        scale_get_address(peers[i].iface, &address);
        scale_put(fd, &address, sizeof(address));
    }
}

static void connect_all(int fd, unsigned first)
{
    scale_address_t address;
    unsigned i;

    if (!scale_get(fd, &address, sizeof(address))) {
        scale_die("read", "the other process has ended");
    }
    first_peer = first;
    scale_expect(first, num_peers);
    for (i = 0; i < num_peers; ++i) {
        peers[i].ep = scale_connect(peers[i].iface, &address);
    }
}

static void share_memory(int fd)
{
    static char page[PAGE] __attribute__((aligned(PAGE)));
    scale_memory_t memory = {.address = (uintptr_t)page};
    uct_mem_h memh;

    scale_check("uct_md_mem_reg",
                uct_md_mem_reg(scale_domains[1].md, page, sizeof(page),
                               UCT_MD_MEM_ACCESS_REMOTE_GET, &memh));
    scale_check("uct_md_mkey_pack",
                uct_md_mkey_pack(scale_domains[1].md, memh, memory.key));
    scale_put(fd, &memory, sizeof(memory));
}

/* Nothing comes: others have more to do */
static void give_way(unsigned count)
{
    const struct timespec nap = {.tv_nsec = 1000000};

    if (count == 0) {
        nanosleep(&nap, NULL);
    }
}

static void take(uint32_t num)
{
    unsigned i, count;
    bool here;

    do {
        here  = (uint32_t)scale_got == num;
        count = 0;
        for (i = 0; i < num_peers; ++i) {
            count += uct_iface_progress(peers[i].iface);
        }
        if (!here) {
            give_way(count);
        }
    } while (!here); /* once more for what comes with the last ones */
}

static void send_one(peer_t *peer, bool with_data)
{
    uint8_t data[SCALE_DATA];
    uint64_t header = 0;
    ucs_status_t status;

    if (with_data) {
        header = scale_say(first_peer + (peer - peers), peer->said++, data);
    }
    while ((status = uct_ep_am_short(peer->ep, SCALE_AM_ID, header, data,
                                     with_data ? sizeof(data) : 0)) ==
           UCS_ERR_NO_RESOURCE) {
        give_way(uct_iface_progress(peer->iface));
    }
    scale_check("am_short of a peer", status);
}

static void send_from(const scale_order_t *order)
{
    unsigned times = (order->word == SCALE_BURST) ? SCALE_MANY : 1;
    ucs_status_t status;
    peer_t *peer;
    unsigned i, k;

    for (i = 0; i < order->num; ++i) {
        for (k = 0; k < times; ++k) {
            send_one(&peers[order->first + i], order->word == SCALE_SAY);
        }
    }
    for (i = 0; i < order->num; ++i) {
        peer = &peers[order->first + i];
        while ((status = uct_ep_flush(peer->ep, 0, NULL)) == UCS_INPROGRESS) {
            give_way(uct_iface_progress(peer->iface));
        }
        scale_check("flush of a peer", status);
    }
}

/* A device without source GIDs takes an address handle from who answers only:
 * peers that are deaf between orders would keep all of them, and the sender wait
 * for ever. Those that are counted by instructions are left alone. */
static bool next_order(int fd, scale_order_t *order, bool answers)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    unsigned i;

    while (answers && (poll(&pollfd, 1, 1) == 0)) {
        for (i = 0; i < num_peers; ++i) {
            uct_iface_progress(peers[i].iface);
        }
    }
    return scale_get(fd, order, sizeof(*order));
}

int scale_peers(int fd, unsigned num)
{
    bool answers = false;

    scale_order_t order;
    unsigned i;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    scale_set_small();
    setenv("UCX_EFA_STATS", "n", 1);
    scale_open();
    num_peers = num;
    peers     = scale_alloc(num, sizeof(*peers));
    for (i = 0; i < num; ++i) {
        peers[i].iface =
                scale_iface(&scale_domains[1 + i % (scale_num_domains - 1)]);
    }

    while (next_order(fd, &order, answers)) {
        answers |= order.word == SCALE_SAY;
        switch ((scale_word_t)order.word) {
        case SCALE_TELL:
            tell(fd);
            break;
        case SCALE_CONNECT:
            connect_all(fd, order.first);
            break;
        case SCALE_MEMORY:
            share_memory(fd);
            break;
        case SCALE_TAKE:
            take(order.num);
            break;
        case SCALE_SEND:
        case SCALE_BURST:
        case SCALE_SAY:
            send_from(&order);
            break;
        }
        scale_put(fd, &order.word, sizeof(order.word));
    }

    /* The kernel takes it back sooner than goodbyes to who is gone are said */
    _Exit(0);
}
