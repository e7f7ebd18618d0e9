/*
 * What the tests of one-sided operations start from.
 *
 *   region    memory that a peer may touch, between two red zones
 *
 *              RED bytes   length bytes, registered   rest of the page, RED
 *             +-----------+--------------------------+--------+-----------+
 *             | 0xa5 ...  | message `seed`, or 0xee  |  0xa5  | 0xa5 ...  |
 *             +-----------+--------------------------+--------+-----------+
 *
 *   rkey      its key, unpacked as UCP does it
 *   rma_op    one operation: issued, watched, and its bytes judged
 *   rma_base  fixture: two nodes, an endpoint from a to b
 *   role      a function that runs in another process, on a device of its own
 */
#ifndef TEST_UCT_RMA_TEST_H_
#define TEST_UCT_RMA_TEST_H_

#include "uct_test.h"

namespace uct_test {

enum rma_kind { PUT_SHORT, PUT_BCOPY, PUT_ZCOPY, GET_BCOPY, GET_ZCOPY,
                RMA_LAST };

extern const char *const rma_names[RMA_LAST];

rma_kind rma_kind_of(const std::string &name);
inline bool is_get(rma_kind kind) { return kind >= GET_BCOPY; }
bool     rma_has(const uct_iface_attr_t &attr, rma_kind kind);
size_t   rma_max(const uct_iface_attr_t &attr, rma_kind kind);

/* Bytes of message `seed`. */
void        rma_fill(void *to, size_t length, uint64_t seed);
/* Empty, or what is wrong. */
std::string rma_verify(const void *from, size_t length, uint64_t seed);

/* ---- memory ---- */

class region {
public:
    static const unsigned ALL = UCT_MD_MEM_ACCESS_ALL;

    /* offset: of the first byte in its page. */
    region(std::shared_ptr<domain> dom, size_t length, size_t offset = 0,
           unsigned flags = ALL);
    ~region();
    region(const region&)            = delete;
    region &operator=(const region&) = delete;

    uint8_t  *data() const   { return m_data; }
    size_t    length() const { return m_length; }
    uint64_t  addr() const   { return (uintptr_t)m_data; }
    uct_mem_h memh() const   { return m_memh; }
    std::vector<uint8_t> key() const; /* packed */

    void        clear();               /* all bytes 0xee */
    bool        is_clear() const;
    void        fill(uint64_t seed)    { rma_fill(m_data, m_length, seed); }
    /* Empty, or which byte of a red zone was written. */
    std::string red() const;
    /* No longer registered; the memory stays. */
    void        dereg();

private:
    std::shared_ptr<domain> m_dom;
    uint8_t                *m_map, *m_data;
    size_t                  m_map_length, m_length;
    uct_mem_h               m_memh = nullptr;
};

class rkey {
public:
    rkey(std::shared_ptr<domain> dom, const std::vector<uint8_t> &packed);
    ~rkey();
    rkey(const rkey&)            = delete;
    rkey &operator=(const rkey&) = delete;

    uct_rkey_t get() const { return m_bundle.rkey; }

private:
    std::shared_ptr<domain> m_dom;
    uct_rkey_bundle_t       m_bundle;
};

/* Where an operation goes. */
struct remote {
    uint64_t   addr;
    uct_rkey_t key;

    remote at(size_t offset) const { return {addr + offset, key}; }
};

/* ---- operation ---- */

struct rma_op {
    uct_completion_t comp; /* first */

    enum state_t { IDLE, BUSY, DONE };

    rma_kind     kind;
    size_t       length;
    uint64_t     seed;
    state_t      state;
    ucs_status_t status;      /* DONE */
    uint8_t     *local;       /* of at least length bytes, registered as memh */
    uct_mem_h    memh;
    unsigned     unpacks = 0;
    bool         with_comp;
    std::string  promises;    /* what the transport has broken */

    rma_op() : state(IDLE), local(nullptr), memh(nullptr) {}

    /*
     * Issues it once. UCS_OK: taken (or complete, with state DONE), otherwise
     * the transport's error. A put's bytes are message `seed` and overwritten
     * as soon as the memory is ours again; a get's target is overwritten before
     * and its bytes lie in `local` afterwards.
     */
    ucs_status_t issue(uct_ep_h ep, rma_kind kind, size_t length,
                       uint64_t seed, const remote &to,
                       bool with_comp = true);

    /* A get that is DONE: empty, or what is wrong with its bytes. */
    std::string verify() const
    {
        return (is_get(kind) && (length > 0)) ?
               rma_verify(local, length, seed) : "";
    }

private:
    static void   completed(uct_completion_t *self);
    static size_t pack(void *dest, void *arg);
    static void   unpack(void *arg, const void *data, size_t length);
};

/* Operations that share one registered piece of memory, a slice each with 64
 * bytes between them that nobody may write. */
class rma_pool {
public:
    rma_pool(std::shared_ptr<domain> dom, unsigned count, size_t max_length);

    rma_op  *get();                /* null: all are busy */
    void     put(rma_op *op);      /* it was seen to be DONE */
    unsigned busy() const;
    std::deque<rma_op> &ops()      { return m_ops; }
    /* Empty, or what was written between the slices; all promises. */
    std::string complaints() const;

private:
    region              m_memory;
    size_t              m_slice;
    std::deque<rma_op>  m_ops;
    std::vector<rma_op*> m_free;
};

/* ---- fixture ---- */

class rma_base : public uct_base {
protected:
    void SetUp() override;
    /* Of the memory domain */
    virtual config_map md_config() const { return config_map(); }

    remote remote_of(const region &r);
    /* A new region of another process, filled from `seed` */
    remote region_of(peer_proc &peer, size_t length, uint64_t seed);

    bool has(rma_kind kind) const { return rma_has(m_a->attr(), kind); }
    /* What this device can do; never empty where tests run. */
    std::vector<rma_kind> kinds() const;

    /* Issues until it is taken; throws on an error. */
    void issue(uct_ep_h ep, rma_op &op, rma_kind kind, size_t length,
               uint64_t seed, const remote &to, bool with_comp = true);
    /* ... and waits for its completion and, for a put, its placement. */
    ucs_status_t run(end &e, rma_op &op, rma_kind kind, size_t length,
                     uint64_t seed, const remote &to);

    void TearDown() override;

    node *m_a   = nullptr;
    node *m_b   = nullptr;
    end  *m_end = nullptr;
    std::deque<std::unique_ptr<rkey>> m_rkeys;
};

/* ---- another process ---- */

/* Runs a role in a process with these variables, on a fabric of its own. */
std::string run_role(const std::string &line, std::vector<std::string> env);

} // namespace uct_test

#endif
