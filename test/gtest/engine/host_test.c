/*
 * The NIC model with another attachment than libsoftefa's: this file implements
 * nic/host.h for one process, without process_vm_*, a thread or a descriptor.
 * It links the model only (libsoftefa_model.la), so a call from there into the
 * preload attachment does not link.
 *
 *   send   one DMA write for a SEND; the model runs only when it is called
 *   rdma   a DMA read, a write
 *   fails  what the host reports becomes the status that hardware has for it
 */
#define _GNU_SOURCE
#include "fabric/membership.h"
#include "nic/host.h"
#include "nic/progress.h"
#include "ring.h"

#include <infiniband/verbs.h>
#include <string.h>
#include <sys/uio.h>

/* What the model asked of this host */
static struct {
    unsigned writes, reads, wakes, opened;
    int      error;                  /* of the next copies */
} host;

static int host_copy(const struct iovec *dst, const struct iovec *src,
                     size_t length)
{
    if (host.error == 0) {
        CHECK((dst->iov_len >= length) && (src->iov_len >= length));
        memcpy(dst->iov_base, src->iov_base, length);
    }
    return host.error;
}

int softefa_host_write(softefa_member_t member, const struct iovec *local,
                       unsigned num_local, const struct iovec *remote,
                       unsigned num_remote, size_t length)
{
    CHECK((member.slot == softefa_fabric.slot) && (num_local == 1) &&
          (num_remote == 1));
    ++host.writes;
    return host_copy(remote, local, length);
}

int softefa_host_read(softefa_member_t member, const struct iovec *local,
                      unsigned num_local, const struct iovec *remote,
                      unsigned num_remote, size_t length)
{
    CHECK((member.slot == softefa_fabric.slot) && (num_local == 1) &&
          (num_remote == 1));
    ++host.reads;
    return host_copy(local, remote, length);
}

void softefa_host_dev_opened(void)
{
    ++host.opened;
}

void softefa_host_wake(void)
{
    ++host.wakes;
}

static ring_port_t port;
static ring_cq_t cq;
static ring_qp_t qp;

static void expect(unsigned id, int status)
{
    softefa_io_cqe_t cqe;

    CHECK(ring_cq_poll(&cq, &cqe));
    CHECK((cqe.req_id == id) && (cqe.status == status));
}

/* The entry in the ring, without ring_cq_poll(): that would run the model. */
static bool completed(void)
{
    const softefa_io_cqe_t *ring = softefa_fabric_at(cq.map.ring_key);
    unsigned phase               = ring[cq.consumed & (cq.depth - 1)].flags &
                     SOFTEFA_CQE_PHASE;

    return phase != ((cq.consumed & cq.depth) ? SOFTEFA_CQE_PHASE : 0);
}

static void test_send(void)
{
    memset(port.memory, 0x5a, 64);
    ring_recv(&qp, port.memory + 4096, 64, port.lkey, 1);
    ring_put(&qp, SOFTEFA_OP_SEND,
             ring_send(&port, qp.map.qpn, 2, port.memory, 64));
    ring_doorbell(&qp);
    CHECK((host.writes == 1) && (host.reads == 0) && (host.wakes == 0));
    CHECK(memcmp(port.memory, port.memory + 4096, 64) == 0);
    expect(1, SOFTEFA_STATUS_OK);
    expect(2, SOFTEFA_STATUS_OK);

    /* No receive request: it waits until the host lets the model run. */
    ring_put(&qp, SOFTEFA_OP_SEND,
             ring_send(&port, qp.map.qpn, 3, port.memory, 64));
    ring_doorbell(&qp);
    CHECK((host.wakes == 1) && (host.writes == 1));
    ring_recv(&qp, port.memory + 4096, 64, port.lkey, 4);
    usleep(5000);
    CHECK(!completed());
    CHECK(softefa_progress_all());
    CHECK(completed() && (host.writes == 2) && (host.wakes == 1));
    CHECK(!softefa_progress_all());
    expect(4, SOFTEFA_STATUS_OK);
    expect(3, SOFTEFA_STATUS_OK);
}

static void test_rdma(void)
{
    uint8_t *local = port.memory, *remote = port.memory + 8192;

    memset(remote, 0xa5, 64);
    ring_put(&qp, SOFTEFA_OP_RDMA_READ,
             ring_rdma(&port, qp.map.qpn, 5, (uintptr_t)remote, local, 64));
    ring_doorbell(&qp);
    CHECK((host.reads == 1) && (host.writes == 2));
    CHECK(memcmp(local, remote, 64) == 0);
    expect(5, SOFTEFA_STATUS_OK);

    memset(local, 0x3c, 64);
    ring_put(&qp, SOFTEFA_OP_RDMA_WRITE,
             ring_rdma(&port, qp.map.qpn, 6, (uintptr_t)remote, local, 64));
    ring_doorbell(&qp);
    CHECK((host.reads == 1) && (host.writes == 3));
    CHECK(memcmp(local, remote, 64) == 0);
    expect(6, SOFTEFA_STATUS_OK);
}

static void test_fails(void)
{
    ring_recv(&qp, port.memory + 4096, 64, port.lkey, 7);
    host.error = EFAULT;
    ring_put(&qp, SOFTEFA_OP_SEND,
             ring_send(&port, qp.map.qpn, 8, port.memory, 64));
    ring_doorbell(&qp);
    expect(7, SOFTEFA_STATUS_INVALID_LKEY);
    expect(8, SOFTEFA_STATUS_REMOTE_STATUS);

    ring_recv(&qp, port.memory + 4096, 64, port.lkey, 9);
    host.error = EPERM;
    ring_put(&qp, SOFTEFA_OP_SEND,
             ring_send(&port, qp.map.qpn, 10, port.memory, 64));
    ring_doorbell(&qp);
    expect(10, SOFTEFA_STATUS_REMOTE_STATUS);

    ring_put(&qp, SOFTEFA_OP_RDMA_READ,
             ring_rdma(&port, qp.map.qpn, 11, (uintptr_t)port.memory + 8192,
                       port.memory, 64));
    ring_doorbell(&qp);
    expect(11, SOFTEFA_STATUS_REMOTE_STATUS);
    host.error = 0;
}

int main(void)
{
    ring_port_open(&port, 0);
    CHECK(host.opened == 1);
    ring_cq_create(&port, &cq, 64, NULL, 0);
    CHECK(ring_qp_create(&port, &qp, &cq, &cq,
                         (softefa_qp_attr_t){.type = SOFTEFA_QP_SRD}) == 0);
    ring_qp_to_rts(&qp, RING_QKEY, 7);

    test_send();
    printf("ok send\n");
    test_rdma();
    printf("ok rdma\n");
    test_fails();
    printf("ok fails\n");

    ring_port_close(&port);
    CHECK(softefa_membership_leave_begin());
    CHECK(softefa_progress_stop());
    softefa_membership_leave_end(true);
    CHECK(access(softefa_fabric.dir, F_OK) != 0);
    printf("ok leaves nothing\n");
    return 0;
}
