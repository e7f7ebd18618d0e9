/*
 * Fuzzing softefa-pci: a client, and a driver behind it, that may do anything.
 *
 *   input   steps, one after the other: a byte says which (steps[]), then what
 *           it takes
 *
 *   client  bytes, messages with descriptors, memory mapped and unmapped
 *   driver  registers, doorbells, admin commands, entries in its queues, what is
 *           in guest memory; also in the right order (driver_probe(),
 *           driver_objects()), so that traffic is reached
 *
 * The function is the real one with the NIC model, in this process; the client
 * is the other end of a socket pair. Must hold: no access outside, no leak; each
 * command has one reply, with its id, or the client is dropped; afterwards no
 * descriptor is left open, and no memory mapped.
 */
#define _GNU_SOURCE
#include "fuzz_assert.h"
#include "abi/efa_admin.h"
#include "abi/efa_io.h"
#include "pci/vfu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MEMORY    = 1 << 20,
    BASE      = 1 << 20,
    MAX_BYTES = 256,

    /* places in guest memory */
    MMIO      = 0,
    AQ        = 4096,
    ACQ       = 8192,
    AENQ      = 12288,
    EQ        = 16384,
    CQ        = 32768,
    RQ        = 40960,
    DATA      = 65536
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static softefa_pci_t        *pci;
static softefa_pci_client_t client;
static int                  client_fd = -1, memory_fd = -1;
static uint8_t              *memory;
static uint16_t             sent;    /* admin commands */
static softefa_admin_create_qp_resp_t made;
static uint32_t             lkey;

static const uint8_t        *input;
static size_t               left;

static uint8_t byte(void)
{
    if (left == 0) {
        return 0;
    }

    --left;
    return *input++;
}

static uint32_t word(void)
{
    uint32_t value = byte();

    value |= byte() << 8;
    value |= byte() << 16;
    return value | ((uint32_t)byte() << 24);
}

/* Values near the edges that matter, or any */
static uint64_t value(void)
{
    static const uint64_t edges[] = {
        0, 1, 4096, BASE, BASE + MEMORY - 1, BASE + MEMORY, UINT32_MAX,
        UINT64_MAX, UINT64_MAX - 4095, 1ull << 63, BASE + DATA, BASE + AQ
    };
    uint8_t kind = byte();

    return (kind < sizeof(edges) / sizeof(edges[0])) ? edges[kind] :
           (kind < 128)                              ? word() :
                          ((uint64_t)word() << 32) | word();
}

static void bytes(uint8_t *place, size_t size)
{
    size_t i;

    for (i = 0; i < size; ++i) {
        place[i] = byte();
    }
}

/* ---- the client ---- */

static void client_close(void)
{
    close(client_fd);
    softefa_pci_conn_close(&client.conn);
    client.agreed = false;
    softefa_pci_detach(pci);
}

static void client_open(void)
{
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     fds) == 0);
    client_fd = fds[0];
    softefa_pci_conn_open(&client.conn, fds[1]);
    client.agreed = false;
    sent          = 0;
}

/* Lets the function work; reads its replies. Their number, -1: dropped */
static int client_serve(void)
{
    static uint8_t
            reply[sizeof(softefa_vfu_header_t) + SOFTEFA_PCI_MAX_PAYLOAD];
    softefa_vfu_header_t header;
    int count = 0, ret, fd;
    struct iovec iov;
    char control[CMSG_SPACE(sizeof(int))];
    struct msghdr msg;
    ssize_t size;

    do {
        ret = softefa_pci_conn_receive(&client.conn);
        if (ret == 0) {
            softefa_pci_vfu_message(&client, pci);
        }
        softefa_pci_progress(pci);

        iov  = (struct iovec){reply, sizeof(reply)};
        msg  = (struct msghdr){.msg_iov        = &iov,
                               .msg_iovlen     = 1,
                               .msg_control    = control,
                               .msg_controllen = sizeof(control)};
        size = recvmsg(client_fd, &msg, MSG_CMSG_CLOEXEC);
        if (size > 0) {
            CHECK(size >= (ssize_t)sizeof(header));
            memcpy(&header, reply, sizeof(header));
            CHECK(header.size == size);
            CHECK((header.flags & SOFTEFA_VFU_TYPE) == SOFTEFA_VFU_REPLY);
            CHECK((header.error == 0) || (size == sizeof(header)));
            ++count;
            if ((msg.msg_controllen > 0) && (CMSG_FIRSTHDR(&msg) != NULL)) {
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
                close(fd);
            }
        }
    } while (ret == 0);

    if (ret == EAGAIN) {
        return count;
    }

    client_close();
    client_open();
    return -1;
}

static void client_send(const void *data, size_t size, int *fds, unsigned num)
{
    char control[CMSG_SPACE(32 * sizeof(int))];
    struct iovec iov  = {(void *)data, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *cmsg;

    if (num > 0) {
        msg.msg_control    = control;
        msg.msg_controllen = CMSG_SPACE(num * sizeof(int));
        cmsg               = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level   = SOL_SOCKET;
        cmsg->cmsg_type    = SCM_RIGHTS;
        cmsg->cmsg_len     = CMSG_LEN(num * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, num * sizeof(int));
    }
    if (sendmsg(client_fd, &msg, MSG_NOSIGNAL) < 0) {
        /* the function dropped us: seen with the next step */
    }
}

/* True: answered, without an error */
static bool client_request(unsigned command, const void *payload, size_t size,
                           int *fds, unsigned num)
{
    static uint16_t id;
    static uint8_t message[sizeof(softefa_vfu_header_t) + 1024];
    softefa_vfu_header_t header = {++id, command, sizeof(header) + size, 0, 0};
    int replies;

    CHECK(size <= 1024);
    /* what an earlier step began is ended, one way or the other */
    if (client.conn.received > 0) {
        client_close();
        client_open();
    }
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), payload, size);
    client_send(message, sizeof(header) + size, fds, num);
    replies = client_serve();
    CHECK((replies == 1) || (replies == -1));
    return replies == 1;
}

static void client_write(unsigned region, uint64_t offset, uint32_t data)
{
    struct {
        softefa_vfu_access_t head;
        uint32_t             data;
    } __attribute__((packed)) access = {{offset, region, 4}, data};

    client_request(SOFTEFA_VFU_REGION_WRITE, &access, sizeof(access), NULL, 0);
}

static void client_hello(void)
{
    static const char text[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8}}";

    client_request(SOFTEFA_VFU_VERSION, text, sizeof(text), NULL, 0);
}

static void client_map(uint64_t address, uint64_t size, uint64_t offset,
                       bool with_fd)
{
    softefa_vfu_dma_map_t map = {sizeof(map), 3, offset, address, size};

    client_request(SOFTEFA_VFU_DMA_MAP, &map, sizeof(map), &memory_fd, with_fd);
}

/* ---- the driver ---- */

static void driver_probe(void)
{
    static const struct {
        uint32_t reg, value;
    } writes[] = {
        {SOFTEFA_REG_MMIO_RESP_LO, BASE + MMIO},
        {SOFTEFA_REG_DEV_CTL, SOFTEFA_DEV_CTL_RESET},
        {SOFTEFA_REG_DEV_CTL, 0},
        {SOFTEFA_REG_MMIO_RESP_LO, BASE + MMIO},
        {SOFTEFA_REG_AQ_BASE_LO, BASE + AQ},
        {SOFTEFA_REG_AQ_CAPS, 32 | (64 << 16)},
        {SOFTEFA_REG_ACQ_BASE_LO, BASE + ACQ},
        {SOFTEFA_REG_ACQ_CAPS, 32 | (64 << 16)},
        {SOFTEFA_REG_AENQ_BASE_LO, BASE + AENQ},
        {SOFTEFA_REG_AENQ_CAPS, 16 | (64 << 16)},
    };
    size_t i;

    client_hello();
    client_map(BASE, MEMORY, 0, true);
    for (i = 0; i < sizeof(writes) / sizeof(writes[0]); ++i) {
        client_write(0, writes[i].reg, writes[i].value);
    }
    sent = 0;
}

/* The response of the last command, wherever it was written to */
static void driver_admin(softefa_admin_cmd_t *cmd, softefa_admin_resp_t *resp)
{
    unsigned place = (sent & 31) * 64;

    memcpy(memory + AQ + place, cmd, sizeof(*cmd));
    client_write(0, SOFTEFA_REG_AQ_PROD_DB, ++sent);
    memcpy(resp, memory + ACQ + place, sizeof(*resp));
}

static void driver_state(unsigned state)
{
    softefa_admin_cmd_t cmd = {.head = {.opcode = SOFTEFA_ADMIN_MODIFY_QP}};
    softefa_admin_resp_t resp;

    cmd.modify_qp.mask   = SOFTEFA_ADMIN_MOD_STATE | SOFTEFA_ADMIN_MOD_QKEY;
    cmd.modify_qp.handle = made.handle;
    cmd.modify_qp.state  = state;
    driver_admin(&cmd, &resp);
}

/* One of each, as the driver would; a QP in RTS */
static void driver_objects(void)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;
    uint8_t gid[16];

    cmd.head.opcode     = SOFTEFA_ADMIN_GET_FEATURE;
    cmd.feature.feature = SOFTEFA_FEATURE_NETWORK;
    driver_admin(&cmd, &resp);
    memcpy(gid, resp.network.gid, sizeof(gid));
    cmd = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_ALLOC_PD}};
    driver_admin(&cmd, &resp);
    cmd.head.opcode = SOFTEFA_ADMIN_ALLOC_UAR;
    driver_admin(&cmd, &resp);

    cmd = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_CREATE_EQ}};
    cmd.create_eq.depth   = 64;
    cmd.create_eq.words   = 4;
    cmd.create_eq.addr_lo = BASE + EQ;
    driver_admin(&cmd, &resp);
    cmd = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_CREATE_CQ}};
    cmd.create_cq.caps_1      = SOFTEFA_ADMIN_CQ_INTERRUPT;
    cmd.create_cq.caps_2      = 8;
    cmd.create_cq.depth       = 16;
    cmd.create_cq.addr_lo     = BASE + CQ;
    cmd.create_cq.num_sub_cqs = 1;
    driver_admin(&cmd, &resp);
    cmd = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_CREATE_QP}};
    cmd.create_qp.type         = SOFTEFA_ADMIN_QP_SRD;
    cmd.create_qp.rq_base      = BASE + RQ;
    cmd.create_qp.sq_ring_size = 16 * 64;
    cmd.create_qp.sq_depth     = 16;
    cmd.create_qp.rq_ring_size = 16 * 16;
    cmd.create_qp.rq_depth     = 16;
    driver_admin(&cmd, &resp);
    made = resp.create_qp;
    cmd  = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_REG_MR}};
    cmd.reg_mr.pages[0] = BASE + DATA;
    cmd.reg_mr.pages[1] = BASE + DATA + 8192;
    cmd.reg_mr.length   = 8192;
    cmd.reg_mr.flags    = 12;
    cmd.reg_mr.access   = 7;
    driver_admin(&cmd, &resp);
    lkey = resp.reg_mr.lkey;
    cmd  = (softefa_admin_cmd_t){.head = {.opcode = SOFTEFA_ADMIN_CREATE_AH}};
    memcpy(cmd.create_ah.gid, gid, sizeof(gid));
    driver_admin(&cmd, &resp);
    driver_state(IBV_QPS_INIT);
    driver_state(IBV_QPS_RTR);
    driver_state(IBV_QPS_RTS);
}

/* ---- steps ---- */

static void step_bytes(void)
{
    uint8_t data[MAX_BYTES];
    size_t size = byte();

    bytes(data, size);
    if (size > 0) {
        client_send(data, size, NULL, 0);
        client_serve();
    }
}

static void step_message(void)
{
    uint8_t payload[MAX_BYTES];
    int fds[20];
    unsigned command = byte() % 20, num = byte() % 20, i;
    size_t size = byte();

    bytes(payload, size);
    for (i = 0; i < num; ++i) {
        fds[i] = memory_fd;
    }
    client_request(command, payload, size, fds, num);
}

static void step_access(void)
{
    softefa_vfu_access_t access = {value(), byte() % 10, value()};

    client_request(SOFTEFA_VFU_REGION_READ, &access, sizeof(access), NULL, 0);
}

static void step_register(void)
{
    unsigned reg = (byte() % 32) * 4;

    client_write(0, reg, value());
}

static void step_doorbell(void)
{
    uint64_t slot = word() % 1024, place = (byte() % 4) * 4;

    client_write(4, (slot * SOFTEFA_PCI_DB_SLOT) + place, word());
}

static void step_own_doorbell(void)
{
    unsigned which = byte() % 3;

    client_write(4,
                 (which == 0) ? made.sq_db :
                 (which == 1) ? made.rq_db :
                                256 * SOFTEFA_PCI_DB_SLOT,
                 byte() | ((uint32_t)(byte() & 1) << 31));
}

static void step_admin(void)
{
    softefa_admin_cmd_t cmd = {};
    softefa_admin_resp_t resp;

    cmd.head.opcode = byte() % 22;
    cmd.head.flags  = byte();
    bytes(cmd.bytes, byte() % (sizeof(cmd.bytes) + 1));
    driver_admin(&cmd, &resp);
}

static void step_region(void)
{
    softefa_admin_cmd_t cmd = {.head = {.opcode = SOFTEFA_ADMIN_REG_MR}};
    softefa_admin_resp_t resp;
    unsigned i;

    cmd.head.flags    = byte() & 6;
    cmd.reg_mr.length = value();
    cmd.reg_mr.flags  = byte();
    cmd.reg_mr.access = byte();
    cmd.reg_mr.iova   = value();
    for (i = 0; i < SOFTEFA_ADMIN_INLINE_PAGES; ++i) {
        cmd.reg_mr.pages[i] = value();
    }
    if (cmd.head.flags != 0) {
        cmd.reg_mr.list.addr_lo = BASE + DATA;
        cmd.reg_mr.list.addr_hi = 0;
    }
    driver_admin(&cmd, &resp);
}

static void step_memory(void)
{
    size_t size = byte(), place = word() % (MEMORY - MAX_BYTES);

    bytes(memory + place, size);
}

static void step_map(void)
{
    uint64_t address = value(), size = value(), offset = value();

    client_map(address, size, offset, byte() & 1);
}

static void step_unmap(void)
{
    softefa_vfu_dma_unmap_t unmap = {sizeof(unmap), byte() & 2, value(),
                                     value()};

    client_request(SOFTEFA_VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
}

static void step_irqs(void)
{
    softefa_vfu_set_irqs_t set = {sizeof(set), byte(), byte() % 6, byte() % 12,
                                  byte() % 12};
    unsigned num               = byte() % 12, i;
    int fds[12];

    for (i = 0; i < num; ++i) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    client_request(SOFTEFA_VFU_SET_IRQS, &set, sizeof(set), fds, num);
    for (i = 0; i < num; ++i) {
        close(fds[i]);
    }
}

/* An entry of a queue pair's own queue */
static void step_send(void)
{
    softefa_io_wqe_t wqe = {};

    wqe.ctrl1 = SOFTEFA_CTRL1_META | (byte() & 0x3f);
    wqe.ctrl2 = (byte() & 1) | SOFTEFA_CTRL2_FIRST | SOFTEFA_CTRL2_LAST |
                SOFTEFA_CTRL2_COMP_REQ;
    wqe.dest_qpn       = made.qpn ^ (byte() & 1);
    wqe.length         = byte() & 3;
    wqe.sge[0].key     = lkey;
    wqe.sge[0].addr_lo = word() % 16384;
    wqe.sge[0].length  = word() % 16384;
    wqe.sge[1].key     = lkey;
    wqe.sge[1].addr_lo = byte();
    wqe.sge[1].length  = byte();
    if (made.llq + (16 * 64) <= pci->llq_size) {
        memcpy(pci->llq + made.llq + ((byte() & 15) * 64), &wqe, 64);
    }
}

static void step_receive(void)
{
    softefa_io_rx_t rx = {};

    rx.addr_lo   = word() % 16384;
    rx.length    = word();
    rx.lkey_ctrl = lkey | ((uint32_t)(byte() & 3) << 30);
    memcpy(memory + RQ + ((byte() & 15) * 16), &rx, sizeof(rx));
}

static void step_state(void)
{
    driver_state(byte() % 8);
}

static void step_again(void)
{
    client_close();
    client_open();
}

/* Appended to only: inputs know steps by their place. */
static void (*const steps[])(void) = {
    step_bytes, step_message, step_access, step_register, step_doorbell,
    step_own_doorbell, step_admin, step_region, step_memory, step_map,
    step_unmap, step_irqs, step_send, step_receive, step_state, step_again,
    driver_probe, driver_objects
};

static unsigned open_fds(void)
{
    DIR *dir       = opendir("/proc/self/fd");
    unsigned count = 0;

    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        ++count;
    }
    closedir(dir);
    return count;
}

static void leave(void)
{
    softefa_pci_destroy(pci);
    close(memory_fd);
    munmap(memory, MEMORY);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char name[32];

    snprintf(name, sizeof(name), "fuzz-%d", (int)getpid());
    setenv("SOFTEFA_FABRIC", name, 1);
    memory_fd = memfd_create("guest", MFD_CLOEXEC);
    CHECK((memory_fd >= 0) && (ftruncate(memory_fd, MEMORY) == 0));
    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd,
                  0);
    CHECK(memory != MAP_FAILED);
    softefa_pci_conn_init(&client.conn);
    CHECK(softefa_pci_create(0, &pci) == 0);
    atexit(leave);
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned fds;

    input = data;
    left  = size;
    memset(memory, 0, MEMORY);
    memset(&made, 0, sizeof(made));
    lkey = 0;
    fds  = open_fds();
    client_open();
    while (left > 0) {
        steps[byte() % (sizeof(steps) / sizeof(steps[0]))]();
    }
    client_close();
    CHECK(pci->dma.num_regions == 0);
    CHECK(pci->num_mrs == 0);
    CHECK(open_fds() == fds);
    return 0;
}
