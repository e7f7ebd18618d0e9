/*
 * What every transport test starts from.
 *
 *   domain     one component's memory domain that carries the transport
 *     node     async context, worker, one interface; counts what is received
 *       end    an endpoint from one node to an address, with a send path that
 *              watches the transport's promises (see end::send)
 *   peer_proc  the same in another process: this program, fork + exec, told
 *              what to do in lines of text over a socket pair
 *
 * Which transport: TEST_TL (default srd), TEST_DEV (default: the first device).
 * Everything here is also true of UCX's own tcp (TEST_TL=tcp TEST_DEV=lo), by
 * which the suite itself was tested.
 */
#ifndef TEST_UCT_TEST_H_
#define TEST_UCT_TEST_H_

#include "common/harness.h"

#include <gtest/gtest.h>

extern "C" {
#include <uct/api/uct.h>
}

#include <deque>
#include <map>
#include <memory>
#include <stdexcept>

namespace uct_test {

using namespace harness;

std::string tl_name();
bool        is_srd();

/* Throws std::runtime_error with the status text if status is an error. */
void check(ucs_status_t status, const std::string &what);

/* ---- memory domain ---- */

typedef std::map<std::string, std::string> config_map;

class domain {
public:
    /* device: "efa_1:1"; the one that TEST_DEV says, else the first */
    explicit domain(const config_map &config  = config_map(),
                    const std::string &device = env("TEST_DEV", ""));
    ~domain();
    domain(const domain&)            = delete;
    domain &operator=(const domain&) = delete;

    uct_component_h      component() const { return m_component; }
    uct_md_h             md() const        { return m_md; }
    const uct_md_attr_t &attr() const      { return m_attr; }
    const std::string   &device() const    { return m_device; }
    const std::string   &component_name() const { return m_component_name; }
    const std::vector<std::string> &devices() const { return m_devices; }

private:
    bool try_component(uct_component_h component, const config_map &settings,
                       const std::string &want);

    uct_component_h          m_component = nullptr;
    uct_md_h                 m_md        = nullptr;
    uct_md_attr_t            m_attr;
    std::string              m_device;
    std::string              m_component_name;
    std::vector<std::string> m_devices;
};

/* ---- addresses ---- */

struct address {
    std::vector<uint8_t> dev, iface;

    std::string    text() const;            /* "devhex:ifacehex" */
    static address parse(const std::string &text);
    /* A well-formed address where nobody lives: a GID that no device has, or a
     * QPN that no interface has. */
    address        nobody(bool gid) const;
};

/* ---- node ---- */

/* What a receiver asks for its messages: bytes before them, and that data +
 * offset be a multiple of alignment (0: not asked). */
struct room_t {
    room_t(size_t headroom = 0, size_t alignment = 0, size_t offset = 0) :
        headroom(headroom), alignment(alignment), offset(offset),
        fields(((alignment != 0) ? UCT_IFACE_PARAM_FIELD_AM_ALIGNMENT : 0) |
               ((offset != 0) ? UCT_IFACE_PARAM_FIELD_AM_ALIGN_OFFSET : 0))
    {
    }

    size_t   headroom, alignment, offset;
    uint64_t fields;
};

class node {
public:
    /* Returns UCS_OK, or UCS_INPROGRESS to keep the descriptor. */
    typedef std::function<ucs_status_t(void*, size_t, unsigned)> am_func;

    struct failure {
        uct_ep_h     ep;
        ucs_status_t status;
    };

    node(std::shared_ptr<domain> dom, const config_map &config = config_map(),
         const room_t &room = room_t(), bool has_handler = true);
    ~node();
    node(const node&)            = delete;
    node &operator=(const node&) = delete;

    uct_iface_h             iface() const   { return m_iface; }
    uct_worker_h            worker() const  { return m_worker; }
    const uct_iface_attr_t &attr() const    { return m_attr; }
    uint64_t                flags() const   { return m_attr.cap.flags; }
    std::shared_ptr<domain> dom() const     { return m_dom; }

    address      addr();
    unsigned     progress();
    int          event_fd() const;
    /* Sleeps until done(), in the way users of the API do: progress until
     * nothing is left, arm, poll. A wake that never comes is an exception.
     * Returns how often poll() was entered. */
    unsigned     sleep_until(unsigned events,
                             const std::function<bool()> &done);
    void         on_am(uint8_t id, am_func func);
    /* Everything with this id goes to the checker. */
    void         check_am(uint8_t id, checker *chk);

    /* Errors reported by the transport, in order. */
    std::vector<failure> failures;
    size_t               failure_count(uct_ep_h ep) const;

    /* This process is another one than the test's: uct_peer.cc */
    static bool is_in_peer;

private:
    static ucs_status_t am_trampoline(void *arg, void *data, size_t length,
                                      unsigned flags);
    static ucs_status_t error_trampoline(void *arg, uct_ep_h ep,
                                         ucs_status_t status);

    struct slot {
        am_func func;
    };

    std::shared_ptr<domain> m_dom;
    ucs_async_context_t    *m_async  = nullptr;
    uct_worker_h            m_worker = nullptr;
    uct_iface_h             m_iface  = nullptr;
    uct_iface_attr_t        m_attr;
    slot                    m_slots[UCT_AM_ID_MAX];
};

/* ---- registered memory ---- */

class buffer {
public:
    buffer(std::shared_ptr<domain> dom, size_t length);
    ~buffer();
    buffer(const buffer&)            = delete;
    buffer &operator=(const buffer&) = delete;

    uint8_t  *data()         { return m_data; }
    size_t    length() const { return m_length; }
    uct_mem_h memh() const   { return m_memh; }

private:
    std::shared_ptr<domain> m_dom;
    uint8_t                *m_data;
    size_t                  m_length;
    uct_mem_h               m_memh = nullptr;
};

/* ---- endpoint ---- */

enum send_kind {
    SHORT,     /* at least 8 bytes: the header is the first word */
    SHORT_IOV,
    BCOPY,
    ZCOPY,     /* header and data from registered memory */
    KIND_LAST
};

extern const char *const kind_names[KIND_LAST];

class end {
public:
    end(node &from, const address &to);
    ~end();
    end(const end&)            = delete;
    end &operator=(const end&) = delete;

    uct_ep_h ep() const      { return m_ep; }
    node    &owner()         { return m_node; }
    /* The endpoint is gone, its outstanding zcopies are forgotten. */
    void     destroy();

    /* Smallest and largest message of this kind. */
    size_t min_length(send_kind kind) const;
    size_t max_length(send_kind kind) const;

    /*
     * Sends message `seq` of the stream once. Returns UCS_OK or the
     * transport's error, UCS_ERR_NO_RESOURCE among them. On the way it
     *  - overwrites what was sent as soon as the transport has given the
     *    memory back (return of short and bcopy, completion of zcopy), so that
     *    a transport that looks again later sends rubbish;
     *  - notes a pack callback called more than once, or called and then
     *    followed by an error;
     *  - notes a completion that comes twice or with an error.
     * Notes are in promises().
     */
    ucs_status_t send(send_kind kind, uint8_t id, const stream &s,
                      uint64_t seq);

    size_t             zcopy_busy() const { return m_zcopy_busy; }
    const std::string &promises() const   { return m_promises; }
    /* Statuses with which zcopies completed. */
    std::map<ucs_status_t, size_t> zcopy_statuses;

private:
    struct zcopy_op {
        uct_completion_t        comp; /* first */
        end                    *owner;
        std::unique_ptr<buffer> mem;
        bool                    busy;
    };

    static void   zcopy_completed(uct_completion_t *comp);
    static size_t pack(void *dest, void *arg);

    ucs_status_t send_zcopy(uint8_t id, const stream &s, uint64_t seq,
                            size_t len);

    node                                  &m_node;
    uct_ep_h                               m_ep = nullptr;
    std::vector<uint8_t>                   m_scratch;
    std::vector<std::unique_ptr<zcopy_op>> m_ops;
    std::vector<zcopy_op*>                 m_free;
    size_t                                 m_zcopy_busy = 0;
    std::string                            m_promises;
};

/* A completion that counts: how often it was called and with what last. */
struct flush_comp {
    uct_completion_t comp; /* first */
    unsigned         calls  = 0;
    ucs_status_t     status = UCS_OK;

    flush_comp()
    {
        comp.func   = done;
        comp.count  = 1;
        comp.status = UCS_OK;
    }

    static void done(uct_completion_t *self)
    {
        flush_comp *f = reinterpret_cast<flush_comp*>(self);
        ++f->calls;
        f->status = self->status;
    }
};

/* ---- another process: commands in uct_peer.cc ---- */

address addr_of(peer_proc &peer);

/* Entry of the other process; called by main. */
int peer_main(int fd);

/* ---- the usual fixture ---- */

class uct_base : public ::testing::Test {
protected:
    void SetUp() override
    {
        m_dom = std::make_shared<domain>();
    }

    node &add_node(const config_map &config = config_map(),
                   const room_t &room       = room_t());
    end  &connect(node &from, node &to);

    /* Progresses every node. */
    unsigned progress();
    bool     wait(const std::function<bool()> &done);

    /* Sends until the transport takes it; fails the test on an error. */
    void send(end &e, send_kind kind, uint8_t id, const stream &s,
              uint64_t seq);
    /* Flushes the endpoint; fails the test if it does not complete. */
    void flush(end &e);

    /* No complaint of the checker nor of any endpoint's promises. */
    void expect_clean(const checker &chk, uint64_t count);
    void expect_promises();

    void TearDown() override;

    std::shared_ptr<domain>            m_dom;
    std::vector<std::unique_ptr<node>> m_nodes;
    std::vector<std::unique_ptr<end>>  m_ends;
};

} // namespace uct_test

#endif
