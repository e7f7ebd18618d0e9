#include "rma_test.h"

#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace uct_test {

const char *const rma_names[RMA_LAST] = {
    "put_short", "put_bcopy", "put_zcopy", "get_bcopy", "get_zcopy"
};

rma_kind rma_kind_of(const std::string &name)
{
    for (int kind = 0; kind < RMA_LAST; ++kind) {
        if (name == rma_names[kind]) {
            return (rma_kind)kind;
        }
    }
    throw std::runtime_error("no operation " + name);
}

bool rma_has(const uct_iface_attr_t &attr, rma_kind kind)
{
    static const uint64_t flags[RMA_LAST] = {
        UCT_IFACE_FLAG_PUT_SHORT, UCT_IFACE_FLAG_PUT_BCOPY,
        UCT_IFACE_FLAG_PUT_ZCOPY, UCT_IFACE_FLAG_GET_BCOPY,
        UCT_IFACE_FLAG_GET_ZCOPY
    };

    return attr.cap.flags & flags[kind];
}

size_t rma_max(const uct_iface_attr_t &attr, rma_kind kind)
{
    switch (kind) {
    case PUT_SHORT:
        return attr.cap.put.max_short;
    case PUT_BCOPY:
        return attr.cap.put.max_bcopy;
    case PUT_ZCOPY:
        return attr.cap.put.max_zcopy;
    case GET_BCOPY:
        return attr.cap.get.max_bcopy;
    default:
        return attr.cap.get.max_zcopy;
    }
}

void rma_fill(void *to, size_t length, uint64_t seed)
{
    stream(seed, length_plan::fixed(length)).fill(to, 0, length);
}

std::string rma_verify(const void *from, size_t length, uint64_t seed)
{
    return stream(seed, length_plan::fixed(length)).verify(from, length, 0);
}

/* ---- memory ---- */

static const uint8_t RED = 0xa5, CLEAR = 0xee;

region::region(std::shared_ptr<domain> dom, size_t length, size_t offset,
               unsigned flags) :
    m_dom(dom),
    m_length(length)
{
    size_t page  = sysconf(_SC_PAGESIZE);
    m_map_length = (offset + length + 3 * page - 1) / page * page;
    m_map = (uint8_t *)mmap(nullptr, m_map_length, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m_map == MAP_FAILED) {
        throw std::runtime_error("mmap");
    }
    m_data = m_map + page + offset;
    memset(m_map, RED, m_data - m_map);
    memset(m_data + length, RED, m_map + m_map_length - (m_data + length));
    clear();
    ucs_status_t status = uct_md_mem_reg(m_dom->md(), m_data, length, flags,
                                         &m_memh);
    if (status != UCS_OK) {
        munmap(m_map, m_map_length);
        check(status, "uct_md_mem_reg");
    }
}

region::~region()
{
    dereg();
    munmap(m_map, m_map_length);
}

void region::dereg()
{
    if (m_memh != nullptr) {
        EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_dom->md(), m_memh));
        m_memh = nullptr;
    }
}

std::vector<uint8_t> region::key() const
{
    std::vector<uint8_t> packed(m_dom->attr().rkey_packed_size);

    check(uct_md_mkey_pack(m_dom->md(), m_memh, packed.data()),
          "uct_md_mkey_pack");
    return packed;
}

void region::clear()
{
    memset(m_data, CLEAR, m_length);
}

static size_t same_bytes(const uint8_t *from, size_t length, uint8_t value)
{
    size_t i;

    for (i = 0; (i < length) && (from[i] == value); ++i) {
    }
    return i;
}

bool region::is_clear() const
{
    return same_bytes(m_data, m_length, CLEAR) == m_length;
}

std::string region::red() const
{
    size_t before = m_data - m_map;
    size_t behind = m_map + m_map_length - (m_data + m_length);
    size_t at;

    at = same_bytes(m_map, before, RED);
    if (at < before) {
        return "written " + std::to_string(before - at) + " bytes before";
    }
    at = same_bytes(m_data + m_length, behind, RED);
    if (at < behind) {
        return "written " + std::to_string(at) + " bytes behind";
    }
    return "";
}

rkey::rkey(std::shared_ptr<domain> dom, const std::vector<uint8_t> &packed) :
    m_dom(dom)
{
    check(uct_rkey_unpack(dom->component(), packed.data(), &m_bundle),
          "uct_rkey_unpack");
}

rkey::~rkey()
{
    EXPECT_EQ(UCS_OK, uct_rkey_release(m_dom->component(), &m_bundle));
}

/* ---- operation ---- */

void rma_op::completed(uct_completion_t *self)
{
    rma_op *op = reinterpret_cast<rma_op *>(self);

    if (op->state != BUSY) {
        op->promises += std::string(rma_names[op->kind]) +
                        " completed without need, or twice\n";
        return;
    }
    op->state  = DONE;
    op->status = self->status;
    if (op->kind == PUT_ZCOPY) {
        memset(op->local, 0xdd, op->length);
    }
    if ((op->kind == GET_BCOPY) &&
        (op->unpacks != ((op->status == UCS_OK) ? 1 : 0))) {
        op->promises += "get_bcopy completed with " +
                        std::string(ucs_status_string(op->status)) +
                        " and unpacked " + std::to_string(op->unpacks) +
                        " times\n";
    }
}

size_t rma_op::pack(void *dest, void *arg)
{
    rma_op *op = static_cast<rma_op *>(arg);

    ++op->unpacks;
    rma_fill(dest, op->length, op->seed);
    return op->length;
}

void rma_op::unpack(void *arg, const void *data, size_t length)
{
    rma_op *op = static_cast<rma_op *>(arg);

    if (op->state != BUSY) {
        op->promises += "unpack was called without need\n";
        return;
    }
    if (length != op->length) {
        op->promises += "unpack was given another length\n";
    }
    ++op->unpacks;
    memcpy(op->local, data, std::min(length, op->length));
}

ucs_status_t rma_op::issue(uct_ep_h ep, rma_kind k, size_t len, uint64_t s,
                           const remote &to, bool wanted)
{
    uct_iov_t iov = {local, len, memh, 0, 1};
    std::vector<uint8_t> scratch;
    ucs_status_t status;
    ssize_t packed;

    kind        = k;
    length      = len;
    seed        = s;
    state       = BUSY;
    unpacks     = 0;
    with_comp   = wanted;
    comp.func   = completed;
    comp.count  = 1;
    comp.status = UCS_OK;
    switch (kind) {
    case PUT_SHORT:
        scratch.resize(len);
        rma_fill(scratch.data(), len, seed);
        status = uct_ep_put_short(ep, scratch.data(), len, to.addr, to.key);
        std::fill(scratch.begin(), scratch.end(), 0xdd);
        break;
    case PUT_BCOPY:
        packed = uct_ep_put_bcopy(ep, pack, this, to.addr, to.key);
        if ((packed >= 0) && ((size_t)packed != len)) {
            promises += "put_bcopy returned another length\n";
        }
        if (unpacks != ((packed >= 0) ? 1 : 0)) {
            promises += "put_bcopy packed " + std::to_string(unpacks) +
                        " times\n";
        }
        status = (packed >= 0) ? UCS_OK : (ucs_status_t)packed;
        break;
    case PUT_ZCOPY:
        rma_fill(local, len, seed);
        status = uct_ep_put_zcopy(ep, &iov, 1, to.addr, to.key,
                                  wanted ? &comp : nullptr);
        break;
    case GET_BCOPY:
        memset(local, CLEAR, len);
        status = uct_ep_get_bcopy(ep, unpack, this, len, to.addr, to.key,
                                  wanted ? &comp : nullptr);
        break;
    default:
        memset(local, CLEAR, len);
        status = uct_ep_get_zcopy(ep, &iov, 1, to.addr, to.key,
                                  wanted ? &comp : nullptr);
    }

    if (status == UCS_INPROGRESS) {
        if ((kind == PUT_SHORT) || (kind == PUT_BCOPY)) {
            promises += "a short or bcopy put is in progress\n";
        }
        return UCS_OK;
    }
    if (state != BUSY) {
        promises += std::string(rma_names[kind]) + " completed and returned " +
                    ucs_status_string(status) + "\n";
    }
    state        = (status == UCS_OK) ? DONE : IDLE;
    this->status = status;
    return status;
}

rma_pool::rma_pool(std::shared_ptr<domain> dom, unsigned count,
                   size_t max_length) :
    m_memory(dom, count * (max_length + 64) + 64, 8),
    m_slice(max_length + 64), m_ops(count)
{
    for (unsigned i = 0; i < count; ++i) {
        m_ops[i].local = m_memory.data() + 64 + i * m_slice;
        m_ops[i].memh  = m_memory.memh();
        m_free.push_back(&m_ops[i]);
    }
}

rma_op *rma_pool::get()
{
    if (m_free.empty()) {
        return nullptr;
    }
    rma_op *op = m_free.back();
    m_free.pop_back();
    return op;
}

void rma_pool::put(rma_op *op)
{
    op->state = rma_op::IDLE;
    m_free.push_back(op);
}

unsigned rma_pool::busy() const
{
    return std::count_if(m_ops.begin(), m_ops.end(), [](const rma_op &op) {
        return op.state == rma_op::BUSY;
    });
}

std::string rma_pool::complaints() const
{
    std::string text = m_memory.red();

    for (size_t i = 0; i < m_ops.size(); ++i) {
        text += m_ops[i].promises;
        if (same_bytes(m_memory.data() + i * m_slice, 64, CLEAR) < 64) {
            text += "written before slice " + std::to_string(i) + "\n";
        }
    }
    return text;
}

/* ---- fixture ---- */

void rma_base::SetUp()
{
    m_dom = std::make_shared<domain>(md_config());
    m_a   = &add_node();
    m_b   = &add_node();
    m_end = &connect(*m_a, *m_b);
    if (kinds().empty()) {
        GTEST_SKIP() << tl_name() << " has no one-sided operations here";
    }
}

std::vector<rma_kind> rma_base::kinds() const
{
    std::vector<rma_kind> all;

    for (int kind = 0; kind < RMA_LAST; ++kind) {
        if (has((rma_kind)kind)) {
            all.push_back((rma_kind)kind);
        }
    }
    return all;
}

remote rma_base::region_of(peer_proc &peer, size_t length, uint64_t seed)
{
    std::istringstream answer(peer.call("region " + std::to_string(length) +
                                        " " + std::to_string(seed)));
    std::string key_text;
    unsigned index;
    remote to;

    answer >> index >> to.addr >> key_text;
    m_rkeys.emplace_back(new rkey(m_dom, from_hex(key_text)));
    to.key = m_rkeys.back()->get();
    return to;
}

remote rma_base::remote_of(const region &r)
{
    m_rkeys.emplace_back(new rkey(m_dom, r.key()));
    return {r.addr(), m_rkeys.back()->get()};
}

void rma_base::issue(uct_ep_h ep, rma_op &op, rma_kind kind, size_t length,
                     uint64_t seed, const remote &to, bool with_comp)
{
    ucs_status_t status = UCS_ERR_NO_RESOURCE;

    wait([&]() {
        status = op.issue(ep, kind, length, seed, to, with_comp);
        return status != UCS_ERR_NO_RESOURCE;
    });
    check(status, rma_names[kind]);
}

ucs_status_t rma_base::run(end &e, rma_op &op, rma_kind kind, size_t length,
                           uint64_t seed, const remote &to)
{
    issue(e.ep(), op, kind, length, seed, to);
    if (!wait([&]() { return op.state == rma_op::DONE; })) {
        throw std::runtime_error(std::string(rma_names[kind]) +
                                 " does not complete");
    }
    if ((kind == PUT_SHORT) || (kind == PUT_BCOPY)) {
        flush(e);
    }
    EXPECT_EQ("", op.promises);
    return op.status;
}

void rma_base::TearDown()
{
    for (auto &e : m_ends) {
        e->destroy();
    }
    m_rkeys.clear();
    uct_base::TearDown();
}

/* ---- another process ---- */

std::string run_role(const std::string &line, std::vector<std::string> env)
{
    static unsigned count;

    env.push_back("SOFTEFA_FABRIC=uct-" + std::to_string(getpid()) + "-" +
                  std::to_string(++count));
    peer_proc peer(env);
    return peer.call("role " + line);
}

} // namespace uct_test
