/*
 * A process of peers (scale.h): interfaces with small queues, on all devices
 * but the first, in turn.
 */
#include "scale.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define PAGE 4096

typedef struct {
    uct_iface_h iface;
    uct_ep_h    ep;
} peer_t;

static peer_t *peers;
static unsigned num_peers;

static void tell(int fd)
{
    scale_address_t address;
    unsigned i;

    for (i = 0; i < num_peers; ++i) {
        scale_get_address(peers[i].iface, &address);
        scale_put(fd, &address, sizeof(address));
    }
}

static void connect_all(int fd)
{
    scale_address_t address;
    unsigned i;

    if (!scale_get(fd, &address, sizeof(address))) {
        scale_die("read", "the other process has ended");
    }
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

static void take(uint32_t num)
{
    unsigned i;
    bool here;

    do {
        here = (uint32_t)scale_got == num;
        for (i = 0; i < num_peers; ++i) {
            uct_iface_progress(peers[i].iface);
        }
    } while (!here); /* once more for what comes with the last ones */
}

static void send_from(unsigned first, unsigned num)
{
    ucs_status_t status;
    peer_t *peer;
    unsigned i;

    for (i = 0; i < num; ++i) {
        peer = &peers[(first + i) % num_peers];
        while ((status = uct_ep_am_short(peer->ep, SCALE_AM_ID, 0, NULL, 0)) ==
               UCS_ERR_NO_RESOURCE) {
            uct_iface_progress(peer->iface);
        }
        scale_check("am_short of a peer", status);
    }
    for (i = 0; (i < num) && (i < num_peers); ++i) {
        peer = &peers[(first + i) % num_peers];
        while ((status = uct_ep_flush(peer->ep, 0, NULL)) == UCS_INPROGRESS) {
            uct_iface_progress(peer->iface);
        }
        scale_check("flush of a peer", status);
    }
}

int scale_peers(int fd, unsigned num)
{
    scale_order_t order;
    unsigned i;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("UCX_SRD_TX_QUEUE_LEN", "16", 1);
    setenv("UCX_SRD_RX_QUEUE_LEN", "16", 1);
    setenv("UCX_SRD_EVENTS", "n", 1);
    setenv("UCX_EFA_STATS", "n", 1);
    scale_open();
    num_peers = num;
    peers     = scale_alloc(num, sizeof(*peers));
    for (i = 0; i < num; ++i) {
        peers[i].iface =
                scale_iface(&scale_domains[1 + i % (scale_num_domains - 1)]);
    }

    while (scale_get(fd, &order, sizeof(order))) {
        switch ((scale_word_t)order.word) {
        case SCALE_TELL:
            tell(fd);
            break;
        case SCALE_CONNECT:
            connect_all(fd);
            break;
        case SCALE_MEMORY:
            share_memory(fd);
            break;
        case SCALE_TAKE:
            take(order.num);
            break;
        case SCALE_SEND:
            send_from(order.first, order.num);
            break;
        }
        scale_put(fd, &order.word, sizeof(order.word));
    }

    /* The kernel takes it back sooner than goodbyes to who is gone are said */
    _Exit(0);
}
