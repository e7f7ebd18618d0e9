/*
 * Messages over a raw SRD queue pair, as perftest's ib_send_lat and ib_send_bw
 * do, but for one thing: the receiver copies what it received to where its user
 * wants it, and the receive buffers are many. This is what anything that has tags
 * or active messages does, and perftest, which never looks at the data, does not.
 * contrib/bench.sh compares UCP with it.
 *
 *   verbs_msg DEVICE lat|bw BYTES COUNT PORT           the server
 *   verbs_msg DEVICE lat|bw BYTES COUNT PORT ADDRESS   prints the figure:
 *
 *   lat   median of half a round trip, us
 *   bw    MB/s (2^20 bytes) of COUNT messages, until the server has the last one
 */
#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEPTH   128u         /* messages under way, and receive buffers        */
#define POLL    16
#define ALIGN   4096u
#define QKEY    0x11111111u
#define SEND_ID 0x8000u      /* wr_id of sends                                 */
#define INLINE  32u          /* bytes that fit in a work request               */

typedef struct {
    union ibv_gid gid;
    uint32_t      qpn;
} address_t;

static struct ibv_context *context;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static struct ibv_ah *ah;
static struct ibv_mr *mr;
static uint32_t remote_qpn;
static char *buffers, *out, *in; /* receive buffers, and the user's two         */
static uint32_t bytes, stride;
static unsigned received, sending;
static int is_client;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *need(void *made, const char *what)
{
    if (made == NULL) {
        die(what);
    }
    return made;
}

static void open_device(const char *name)
{
    struct ibv_device **list = need(ibv_get_device_list(NULL), "devices");
    int i;

    for (i = 0;
         (list[i] != NULL) && (strcmp(ibv_get_device_name(list[i]), name) != 0);
         ++i) {
    }
    context = need(ibv_open_device(need(list[i], name)), "ibv_open_device");
    ibv_free_device_list(list);
}

static void post_receive(unsigned index)
{
    struct ibv_sge sge = {
        .addr   = (uintptr_t)buffers + (uint64_t)index * stride,
        .length = stride,
        .lkey   = mr->lkey
    };
    struct ibv_recv_wr wr = {.wr_id = index, .sg_list = &sge, .num_sge = 1};
    struct ibv_recv_wr *bad;

    if (ibv_post_recv(qp, &wr, &bad) != 0) {
        die("ibv_post_recv");
    }
}

static void open_queues(void)
{
    struct ibv_qp_init_attr init = {
        .cap = {
            .max_send_wr     = DEPTH,
            .max_recv_wr     = DEPTH,
            .max_send_sge    = 1,
            .max_recv_sge    = 1,
            .max_inline_data = INLINE
        },
        .qp_type = IBV_QPT_DRIVER,
    };
    struct ibv_qp_attr attr = {
        .qp_state  = IBV_QPS_INIT,
        .port_num  = 1,
        .qkey      = QKEY,
        .rnr_retry = 7
    };
    size_t size;
    unsigned i;

    stride = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    size   = (size_t)stride * (DEPTH + 1);
    if (posix_memalign((void **)&buffers, ALIGN, size) != 0) {
        die("memory");
    }
    memset(buffers, 1, size);
    out = buffers + (size_t)stride * DEPTH;
    in  = need(malloc(bytes), "memory");

    pd           = need(ibv_alloc_pd(context), "ibv_alloc_pd");
    mr           = need(ibv_reg_mr(pd, buffers, size, IBV_ACCESS_LOCAL_WRITE),
                        "ibv_reg_mr");
    cq           = need(ibv_create_cq(context, 2 * DEPTH, NULL, NULL, 0),
                        "ibv_create_cq");
    init.send_cq = init.recv_cq = cq;
    qp = need(efadv_create_driver_qp(pd, &init, EFADV_QP_DRIVER_TYPE_SRD),
              "efadv_create_driver_qp");
    if (ibv_modify_qp(qp, &attr,
                      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                              IBV_QP_QKEY) != 0) {
        die("INIT");
    }
    attr.qp_state = IBV_QPS_RTR;
    if (ibv_modify_qp(qp, &attr, IBV_QP_STATE) != 0) {
        die("RTR");
    }
    attr.qp_state = IBV_QPS_RTS;
    /* Not all devices can be told how often to try again */
    if ((ibv_modify_qp(qp, &attr,
                       IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_RNR_RETRY) != 0) &&
        (ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN) != 0)) {
        die("RTS");
    }
    for (i = 0; i < DEPTH; ++i) {
        post_receive(i);
    }
}

/* Who connects to whom; a socket */
static int meet(const char *host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd                = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one               = 1, peer;

    if (host != NULL) {
        inet_pton(AF_INET, host, &at.sin_addr);
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
            die("connect");
        }
        return fd;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if ((bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) ||
        (listen(fd, 1) != 0)) {
        die("bind");
    }
    peer = accept(fd, NULL, NULL);
    close(fd);
    return peer;
}

/* Both sides have come here. */
static void exchange(int fd, const void *mine, void *theirs, size_t length)
{
    if ((write(fd, mine, length) != (ssize_t)length) ||
        (recv(fd, theirs, length, MSG_WAITALL) != (ssize_t)length)) {
        die("the other side");
    }
}

static void connect_queues(int fd)
{
    struct ibv_ah_attr attr = {.is_global = 1, .port_num = 1};
    address_t mine          = {.qpn = qp->qp_num}, theirs;

    if (ibv_query_gid(context, 1, 0, &mine.gid) != 0) {
        die("ibv_query_gid");
    }
    exchange(fd, &mine, &theirs, sizeof(mine));
    attr.grh.dgid = theirs.gid;
    remote_qpn    = theirs.qpn;
    ah            = need(ibv_create_ah(pd, &attr), "ibv_create_ah");
}

static void post_send(uint32_t length)
{
    struct ibv_sge sge = {
        .addr   = (uintptr_t)out,
        .length = length,
        .lkey   = mr->lkey
    };
    struct ibv_send_wr wr = {
        .wr_id      = SEND_ID,
        .sg_list    = &sge,
        .num_sge    = 1,
        .opcode     = IBV_WR_SEND,
        .send_flags = IBV_SEND_SIGNALED |
                      ((length <= INLINE) ? IBV_SEND_INLINE : 0),
        .wr.ud      = {.ah = ah, .remote_qpn = remote_qpn, .remote_qkey = QKEY}
    };
    struct ibv_send_wr *bad;

    if (ibv_post_send(qp, &wr, &bad) != 0) {
        die("ibv_post_send");
    }
    ++sending;
}

static void progress(void)
{
    struct ibv_wc wc[POLL];
    int num = ibv_poll_cq(cq, POLL, wc), i;

    for (i = 0; i < num; ++i) {
        if (wc[i].status != IBV_WC_SUCCESS) {
            fprintf(stderr, "completion: %s\n",
                    ibv_wc_status_str(wc[i].status));
            exit(1);
        }
        if (wc[i].wr_id == SEND_ID) {
            --sending;
            continue;
        }
        memcpy(in, buffers + wc[i].wr_id * stride, wc[i].byte_len);
        post_receive(wc[i].wr_id);
        ++received;
    }
}

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec * 1e-3;
}

static void await_messages(unsigned num)
{
    while (received < num) {
        progress();
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void do_lat(unsigned count)
{
    double *times = need(calloc(count, sizeof(*times)), "memory"), start;
    unsigned i;

    for (i = 0; i < count; ++i) {
        start = now_us();
        if (is_client) {
            post_send(bytes);
            await_messages(i + 1);
        } else {
            await_messages(i + 1);
            post_send(bytes);
        }
        times[i] = now_us() - start;
    }
    qsort(times, count, sizeof(*times), compare);
    if (is_client) {
        printf("%.3f\n", times[count / 2] / 2);
    }
    free(times);
}

static void do_bw(unsigned count)
{
    double start;
    unsigned i;

    if (!is_client) {
        await_messages(count);
        post_send(1);
        return;
    }
    start = now_us();
    for (i = 0; i < count; ++i) {
        while (sending == DEPTH) {
            progress();
        }
        post_send(bytes);
    }
    await_messages(1);
    printf("%.2f\n",
           (double)bytes * count / (now_us() - start) * 1e6 / 1048576);
}

int main(int argc, char **argv)
{
    unsigned count;
    char word = 0, theirs;
    int fd;

    if (argc < 6) {
        fprintf(stderr, "usage: verbs_msg DEVICE lat|bw BYTES COUNT PORT "
                        "[ADDRESS]\n");
        return 2;
    }
    bytes     = strtoul(argv[3], NULL, 10);
    count     = strtoul(argv[4], NULL, 10);
    is_client = argc > 6;

    open_device(argv[1]);
    open_queues();
    fd = meet(argv[6], strtoul(argv[5], NULL, 10));
    connect_queues(fd);
    exchange(fd, &word, &theirs, 1);
    if (strcmp(argv[2], "lat") == 0) {
        do_lat(count);
    } else {
        do_bw(count);
    }
    while (sending > 0) {
        progress();
    }
    exchange(fd, &word, &theirs, 1);

    close(fd);
    ibv_destroy_ah(ah);
    ibv_destroy_qp(qp);
    ibv_destroy_cq(cq);
    ibv_dereg_mr(mr);
    ibv_dealloc_pd(pd);
    ibv_close_device(context);
    free(buffers);
    free(in);
    return 0;
}
