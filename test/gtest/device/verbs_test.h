/*
 * What every device test starts from: verbs objects that free themselves, an
 * endpoint that can send and be sent to, and a second process.
 *
 *   test process                        child (fork + exec of this program)
 *   ------------                        -----------------------------------
 *   endpoint --- SRD / UD --- endpoint
 *      child --- socketpair ---  role function, chosen by name
 *
 * Set-up that fails throws: GoogleTest reports it as the failure of the test.
 * No test measures time. A wait ends when what it waits for is there, or
 * throws after harness::wait_until()'s deadline.
 */
#ifndef DEVICE_VERBS_TEST_H
#define DEVICE_VERBS_TEST_H

#include "common/harness.h"

#include <gtest/gtest.h>

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>

namespace device {

constexpr int      HANG_SEC     = 600;    /* a blocking call that hangs     */
constexpr uint32_t QKEY         = 0x1ee7c0de;
constexpr unsigned UD_PREFIX    = 40;     /* bytes before a UD payload      */
constexpr uint16_t AH_UNKNOWN   = 0xffff; /* efa_io_rx_cdesc.ah             */

constexpr uint64_t WRITE_OPS = IBV_QP_EX_WITH_RDMA_WRITE |
                               IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;

/* Raw device status, seen as ibv_wc.vendor_err. rdma-core 44 cannot map all
 * of them to an ibv_wc_status, so tests compare the raw number. */
enum status {
    STATUS_OK              = 0,
    STATUS_FLUSHED         = 1,
    STATUS_BAD_AH          = 4,
    STATUS_BAD_LKEY        = 5,
    STATUS_BAD_LENGTH      = 6,
    STATUS_REM_BAD_ADDRESS = 7,
    STATUS_REM_BAD_QPN     = 9,
    STATUS_REM_RNR         = 10,
    STATUS_REM_BAD_LENGTH  = 11,
    STATUS_REM_UNRESP      = 13,
    STATUS_REM_NO_AH       = 14,
    STATUS_UNREACH         = 15,
};

/* errno of the last verb that failed, in words. */
std::runtime_error failure(const std::string &what);

/* Repeats step() until done() holds; throws with what after the deadline. */
void wait_until(const std::function<bool()> &done,
                const std::function<void()> &step, const std::string &what);

struct closer {
    void operator()(ibv_context *context) const
    {
        EXPECT_EQ(0, ibv_close_device(context));
    }
    void operator()(ibv_pd *pd) const
    {
        EXPECT_EQ(0, ibv_dealloc_pd(pd));
    }
    void operator()(ibv_mr *mr) const
    {
        EXPECT_EQ(0, ibv_dereg_mr(mr));
    }
    void operator()(ibv_ah *ah) const
    {
        EXPECT_EQ(0, ibv_destroy_ah(ah));
    }
    void operator()(ibv_comp_channel *channel) const
    {
        EXPECT_EQ(0, ibv_destroy_comp_channel(channel));
    }
    void operator()(ibv_cq *cq) const
    {
        EXPECT_EQ(0, ibv_destroy_cq(cq));
    }
    void operator()(ibv_qp *qp) const
    {
        EXPECT_EQ(0, ibv_destroy_qp(qp));
    }
};

template <typename T> using handle = std::unique_ptr<T, closer>;

handle<ibv_context> open_device(unsigned index = 0);
handle<ibv_pd>      alloc_pd(ibv_context *context);
handle<ibv_mr>      reg_mr(ibv_pd *pd, void *addr, size_t length, int access);
handle<ibv_cq>      create_cq(ibv_context *context, int cqe = 16);
handle<ibv_ah>      create_ah(ibv_pd *pd, const ibv_gid &gid);
ibv_gid             gid_of(ibv_context *context);
efadv_device_attr   efa_attr(ibv_context *context);
ibv_device_attr     device_attr(ibv_context *context);
/* Whether Soft-EFA plays the device in this process; else it is the kernel's. */
bool                played();
/* Whether this libefa and this device have RDMA write. */
bool                has_rdma_write();

/* Creation that is expected to fail returns NULL and leaves errno. */
ibv_qp *try_create_qp(ibv_pd *pd, ibv_cq *cq, bool ud,
                      const ibv_qp_cap &cap);
ibv_ah *try_create_ah(ibv_pd *pd, const ibv_gid &gid);
/* The index-th of as many different GIDs as a test wants. */
ibv_gid made_up_gid(unsigned index);

/* One entry of a completion queue, however it was polled. */
struct completion {
    uint64_t      wr_id;
    ibv_wc_status status;
    uint32_t      vendor_err;
    ibv_wc_opcode opcode;
    uint32_t      byte_len;
    uint32_t      qp_num, src_qp, slid;
    bool          has_imm;
    uint32_t      imm; /* host order */
    int           sgid_error; /* of efadv_wc_read_sgid(); 1: not asked for */
    ibv_gid       sgid;
};

struct address {
    ibv_gid  gid;
    uint32_t qpn;
    uint32_t qkey;
};

enum class api { POST_SEND, WR }; /* ibv_post_send(), ibv_wr_*() */

struct config {
    unsigned device    = 0;
    bool     ud        = false;
    api      post      = api::WR;
    uint32_t send_wr   = 64;
    uint32_t recv_wr   = 64;
    uint32_t send_sge  = 1;
    uint32_t recv_sge  = 1;
    int      cqe       = 0;     /* 0: enough for both queues               */
    bool     extended  = false; /* poll with ibv_start_poll()              */
    bool     sgid      = false; /* implies extended                        */
    bool     rdma      = false; /* ask for RDMA read                       */
    bool     write     = false; /* ask for RDMA write, too                 */
    uint32_t max_inline = 32;
    bool     channel   = false;
    size_t   buffer    = 1 << 16; /* bytes, registered                     */
    int      access    = IBV_ACCESS_LOCAL_WRITE;
    int      rnr_retry = -1;    /* -1: the device's default                */
    uint32_t qkey      = QKEY;
    ibv_qp_state state = IBV_QPS_RTS;
};

struct send_args {
    uint64_t             wr_id = 0;
    std::vector<ibv_sge> sgl;
    bool                 inlined = false;
    bool                 has_imm = false;
    uint32_t             imm     = 0;
};

/* A QP with a CQ, a PD and a registered buffer of its own, in RTS. */
class endpoint {
public:
    explicit endpoint(const config &cfg = config());
    /* Shares an open device, and a PD if there is one. */
    endpoint(const config &cfg, ibv_context *context, ibv_pd *pd = nullptr);

    address addr() const;
    /* The handle for a GID, made at the first call. */
    ibv_ah *ah(const ibv_gid &gid);
    ibv_ah *ah(const address &to) { return ah(to.gid); }

    ibv_sge sge(size_t offset, uint32_t length) const;
    /* Returns what the verb returned. */
    int try_send(const address &to, const send_args &args);
    int try_read(const address &to, uint64_t wr_id, const ibv_sge &local,
                 uint64_t remote_addr, uint32_t rkey);
    /* imm, in host order: NULL for none. */
    int try_write(const address &to, uint64_t wr_id, const ibv_sge &local,
                  uint64_t remote_addr, uint32_t rkey,
                  const uint32_t *imm = nullptr);
    int try_recv(uint64_t wr_id, const std::vector<ibv_sge> &sgl);

    /* As above, but throws on failure. */
    void send(const address &to, const send_args &args);
    void send(const address &to, uint64_t wr_id, size_t offset,
              uint32_t length);
    void read(const address &to, uint64_t wr_id, const ibv_sge &local,
              uint64_t remote_addr, uint32_t rkey);
    void write(const address &to, uint64_t wr_id, const ibv_sge &local,
               uint64_t remote_addr, uint32_t rkey,
               const uint32_t *imm = nullptr);
    void recv(uint64_t wr_id, size_t offset, uint32_t length);
    void recv(uint64_t wr_id, const std::vector<ibv_sge> &sgl);

    /* What is there now, at most max; throws on a negative return. */
    std::vector<completion> poll(unsigned max = 16);
    /* Exactly count completions; peer, if given, is kept progressing too.
     * Throws when more than count are there. */
    std::vector<completion> wait(unsigned count = 1, endpoint *peer = nullptr);
    /* Polls often, so that whatever can happen happens; expects nothing. */
    void expect_silence(unsigned polls = 2000);

    int  modify(ibv_qp_attr attr, int mask);
    void to_state(ibv_qp_state state, int rnr_retry = -1);

    const config          cfg;
    handle<ibv_context>   own_context;
    handle<ibv_pd>        own_pd;
    ibv_context          *context;
    ibv_pd               *pd;
    std::vector<uint8_t>  buffer;
    handle<ibv_mr>        mr;
    handle<ibv_comp_channel> channel;
    handle<ibv_cq>        cq;
    std::vector<std::pair<ibv_gid, handle<ibv_ah>>> ahs;
    handle<ibv_qp>        qp;

private:
    std::vector<completion> poll_plain(unsigned max);
    std::vector<completion> poll_extended(unsigned max);
    void create();
};

/* Byte i of the message that seed names. Neighbouring seeds and positions
 * differ, so swapped, shifted and stale data are seen. */
uint8_t pattern(uint64_t seed, size_t i);
void    fill(uint8_t *to, size_t length, uint64_t seed);
/* Fails the test at the first byte that differs. */
void    check(const uint8_t *from, size_t length, uint64_t seed);

/* Pieces of a buffer, each in use by one message until that has completed: in
 * what order they do is not known. */
class slots {
public:
    slots(unsigned count, size_t messages) : taken(messages)
    {
        for (unsigned i = 0; i < count; ++i) {
            free.push_back(i);
        }
    }
    unsigned get(size_t message)
    {
        taken.at(message) = free.back(); /* the caller counts what it has */
        free.pop_back();
        return taken[message];
    }
    unsigned of(size_t message) const { return taken.at(message); }
    void put(size_t message) { free.push_back(taken.at(message)); }

private:
    std::vector<unsigned> free, taken;
};

/* --- processes --------------------------------------------------------- */

/* A pipe to the other process that moves whole values. */
class wire {
public:
    explicit wire(int fd) : fd(fd) {}
    template <typename T> void put(const T &value)
    {
        put_bytes(&value, sizeof(value));
    }
    template <typename T> T get()
    {
        T value;
        get_bytes(&value, sizeof(value));
        return value;
    }
    void put_bytes(const void *data, size_t length);
    void get_bytes(void *data, size_t length);

    const int fd;
};

typedef int (*role_t)(wire &parent);

/* A program of its own inside this one: child(name) starts it. */
#define DEVICE_ROLE(_name) \
    static int role_##_name(::device::wire &parent); \
    static const bool role_##_name##_known = \
            ::device::role_register(#_name, role_##_name); \
    static int role_##_name([[maybe_unused]] ::device::wire &parent)

bool role_register(const char *name, role_t role);

typedef std::vector<std::pair<std::string, std::string>> environment;

/* libefa keeps what a device that is gone refuses to destroy: with it goes its
 * memory, in processes whose device falls. */
const environment::value_type NO_LEAK_CHECK(
        "ASAN_OPTIONS",
        "detect_leaks=0:detect_stack_use_after_return=1");

/* A child that runs a role; killed and reaped if the test gives up. */
class child {
public:
    explicit child(const std::string &role, const environment &env = {});
    ~child();
    child(const child &) = delete;

    /* Exit status: 0..255, or 256 + signal. */
    int  join();
    int  poll();     /* the same, -1: not yet */
    void kill9();

    pid_t                 pid;
    std::unique_ptr<wire> to;
};

/* The name of a fabric that nobody is in. */
std::string fresh_fabric();

/* All paths in /dev/shm that belong to a fabric; by default to the one of this
 * test program. */
std::vector<std::string> fabric_files(const std::string &fabric = "");

} /* namespace device */

#endif
