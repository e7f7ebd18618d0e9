/*
 * What an operation costs in instructions, for contrib/bench.sh. An interface
 * sends to itself: a message is sent and received in this process, and nothing
 * depends on another one. contrib/bench.sh runs this below callgrind, which
 * counts what measure() does and nothing else, and writes it down when
 * measured() is called.
 *
 * Prints "NAME BYTES COUNT" of each kind that the device can do.
 */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 64u            /* fewer than there are receive buffers           */
#define WARM  1024u          /* not counted: pools grow                        */
#define NUM   4096u          /* counted                                        */
#define SHORT 8u
#define BCOPY 1024u
#define ZCOPY 4000u
#define PAGE  4096u

#ifdef __clang__
#  define MEASURED  __attribute__((noinline))
#else
#  define MEASURED  __attribute__((noinline, noclone))
#endif

typedef struct {
    const char *name;
    unsigned   bytes;
    uint64_t   cap;          /* UCT_IFACE_FLAG_*, 0: none is needed            */
    ucs_status_t (*post)(void);
} kind_t;

static uct_iface_h iface;
static uct_ep_h ep;
static char local[PAGE] __attribute__((aligned(PAGE)));
static char remote[PAGE] __attribute__((aligned(PAGE)));
static uct_mem_h local_memh, remote_memh;
static uct_rkey_bundle_t rkey;

static void on_completion(uct_completion_t *self)
{
    scale_check("a completion", self->status);
}

/* Counts what is under way; on_completion() is for the last, which never is */
static uct_completion_t comp = {
    .func   = on_completion,
    .count  = 1,
    .status = UCS_OK
};

static size_t pack(void *dest, void *arg)
{
    memcpy(dest, arg, BCOPY);
    return BCOPY;
}

static void unpack(void *arg, const void *data, size_t length)
{
    memcpy(arg, data, length);
}

static ucs_status_t counted(ucs_status_t status)
{
    if (status == UCS_INPROGRESS) {
        ++comp.count;
    }
    return status;
}

static const uct_iov_t *zcopy(void)
{
    static uct_iov_t iov = {.buffer = local, .length = ZCOPY, .count = 1};

    iov.memh = local_memh;
    return &iov;
}

static ucs_status_t post_am_short(void)
{
    return uct_ep_am_short(ep, SCALE_AM_ID, 0, NULL, 0);
}

static ucs_status_t post_am_bcopy(void)
{
    ssize_t length = uct_ep_am_bcopy(ep, SCALE_AM_ID, pack, local, 0);

    return (length < 0) ? (ucs_status_t)length : UCS_OK;
}

static ucs_status_t post_am_zcopy(void)
{
    return counted(uct_ep_am_zcopy(ep, SCALE_AM_ID, NULL, 0, zcopy(), 1, 0,
                                   &comp));
}

static ucs_status_t post_get_bcopy(void)
{
    return counted(uct_ep_get_bcopy(ep, unpack, local, SHORT, (uintptr_t)remote,
                                    rkey.rkey, &comp));
}

static ucs_status_t post_get_zcopy(void)
{
    return counted(uct_ep_get_zcopy(ep, zcopy(), 1, (uintptr_t)remote,
                                    rkey.rkey, &comp));
}

static ucs_status_t post_put_short(void)
{
    return uct_ep_put_short(ep, local, SHORT, (uintptr_t)remote, rkey.rkey);
}

static ucs_status_t post_put_zcopy(void)
{
    return counted(uct_ep_put_zcopy(ep, zcopy(), 1, (uintptr_t)remote,
                                    rkey.rkey, &comp));
}

/* Finds nothing */
static ucs_status_t post_poll(void)
{
    uct_iface_progress(iface);
    return UCS_OK;
}

static const kind_t kinds[] = {
    {"am_short",  SHORT, UCT_IFACE_FLAG_AM_SHORT,  post_am_short},
    {"am_bcopy",  BCOPY, UCT_IFACE_FLAG_AM_BCOPY,  post_am_bcopy},
    {"am_zcopy",  ZCOPY, UCT_IFACE_FLAG_AM_ZCOPY,  post_am_zcopy},
    {"get_bcopy", SHORT, UCT_IFACE_FLAG_GET_BCOPY, post_get_bcopy},
    {"get_zcopy", ZCOPY, UCT_IFACE_FLAG_GET_ZCOPY, post_get_zcopy},
    {"put_short", SHORT, UCT_IFACE_FLAG_PUT_SHORT, post_put_short},
    {"put_zcopy", ZCOPY, UCT_IFACE_FLAG_PUT_ZCOPY, post_put_zcopy},
    {"poll",      0,     0,                        post_poll},
};

/* ------------------------------------------------------------ measurement */

/* Bursts, and after each what the device did meanwhile: it is done when the
 * doorbell has been rung. */
MEASURED void repeat(const kind_t *kind, unsigned num)
{
    ucs_status_t status;
    unsigned i;

    for (i = 0; i < num; ++i) {
        /* until it is connected */
        while ((status = kind->post()) == UCS_ERR_NO_RESOURCE) {
            uct_iface_progress(iface);
        }
        if (UCS_STATUS_IS_ERR(status)) {
            scale_check(kind->name, status);
        }
        if ((i % BURST) == BURST - 1) {
            while (uct_iface_progress(iface) > 0) {
            }
        }
    }
}

MEASURED void measure(const kind_t *kind)
{
    repeat(kind, NUM);
}

MEASURED void measured(const kind_t *kind)
{
    printf("%s %u %u\n", kind->name, kind->bytes, NUM);
}

static void share(void)
{
    uct_md_h md = scale_domains[0].md;
    uint8_t key[SCALE_ADDRESS];

    scale_check("uct_md_mem_reg",
                uct_md_mem_reg(md, local, PAGE, UCT_MD_MEM_ACCESS_ALL,
                               &local_memh));
    scale_check("uct_md_mem_reg",
                uct_md_mem_reg(md, remote, PAGE, UCT_MD_MEM_ACCESS_ALL,
                               &remote_memh));
    scale_check("uct_md_mkey_pack", uct_md_mkey_pack(md, remote_memh, key));
    scale_check("uct_rkey_unpack",
                uct_rkey_unpack(scale_domains[0].component, key, &rkey));
}

int main(void)
{
    scale_address_t address;
    uct_iface_attr_t attr;
    const kind_t *kind;
    unsigned i;

    scale_open();
    iface = scale_iface(&scale_domains[0]);
    scale_check("uct_iface_query", uct_iface_query(iface, &attr));
    scale_get_address(iface, &address);
    ep = scale_connect(iface, &address);
    share();
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); ++i) {
        kind = &kinds[i];
        if ((attr.cap.flags & kind->cap) == kind->cap) {
            repeat(kind, WARM);
            measure(kind);
            measured(kind);
        }
    }

    uct_ep_destroy(ep);
    uct_iface_close(iface);
    return 0;
}
