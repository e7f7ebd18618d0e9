/*
 * Memory that the transport must not look at, because no CPU can: a dma-buf
 * that has no address in this process. And memory that a child of fork() has,
 * too.
 */
#include "memory_probe.h"
#include "uct_test.h"

#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace uct_test;

class dmabuf_test : public uct_base {
protected:
    /* Two pages and a bit into the dma-buf; nothing is mapped at `base` */
    static const size_t start = 8192 + 64, length = 1 << 18;
    static const uint8_t untouched = 0xee;

    void SetUp() override
    {
        uct_base::SetUp();
        m_fd   = memfd_create("dmabuf", 0);
        m_base = (uint8_t*)(uintptr_t)((1ull << 46) + 64);
        ASSERT_LE(0, m_fd);
        ASSERT_EQ(0, ftruncate(m_fd, start + length + 4096));
        std::vector<uint8_t> bytes(start + length + 4096, untouched);
        ASSERT_EQ((ssize_t)bytes.size(),
                  pwrite(m_fd, bytes.data(), bytes.size(), 0));

        ucs_status_t status = memory_probe_reg_dmabuf(m_dom->md(), m_base,
                                                      length, m_fd, start,
                                                      &m_memh);
        if (status == UCS_ERR_UNSUPPORTED) {
            GTEST_SKIP() << "no dma-buf in this UCX";
        }
        ASSERT_EQ(UCS_OK, status);
    }

    void TearDown() override
    {
        m_ends.clear();
        m_nodes.clear();
        if (m_memh != nullptr) {
            EXPECT_EQ(UCS_OK, uct_md_mem_dereg(m_dom->md(), m_memh));
        }
        close(m_fd);
        uct_base::TearDown();
    }

    static std::vector<uint8_t> message(size_t len, unsigned seed)
    {
        std::vector<uint8_t> bytes(len);

        for (size_t i = 0; i < len; ++i) {
            bytes[i] = (uint8_t)((i * 7) + (i >> 8) + seed);
        }
        return bytes;
    }

    void put(size_t offset, const std::vector<uint8_t> &bytes)
    {
        ASSERT_EQ((ssize_t)bytes.size(),
                  pwrite(m_fd, bytes.data(), bytes.size(), start + offset));
    }

    std::vector<uint8_t> get(size_t offset, size_t len)
    {
        std::vector<uint8_t> bytes(len);

        EXPECT_EQ((ssize_t)len, pread(m_fd, bytes.data(), len, offset));
        return bytes;
    }

    /* Issues until it is taken, and waits for its completion */
    ucs_status_t complete(
            const std::function<ucs_status_t(uct_completion_t*)> &issue)
    {
        uct_completion_t comp = {};
        ucs_status_t status;

        comp.func   = [](uct_completion_t*) {};
        comp.count  = 1;
        comp.status = UCS_OK;
        if (!wait([&]() {
                return (status = issue(&comp)) != UCS_ERR_NO_RESOURCE;
            })) {
            return UCS_ERR_TIMED_OUT;
        }
        if (status == UCS_INPROGRESS) {
            status = wait([&]() { return comp.count == 0; }) ?
                     comp.status : UCS_ERR_TIMED_OUT;
        }
        return status;
    }

    uct_rkey_bundle_t unpack(uct_mem_h memh)
    {
        std::vector<uint8_t> key(m_dom->attr().rkey_packed_size);
        uct_rkey_bundle_t bundle;

        check(uct_md_mkey_pack(m_dom->md(), memh, key.data()), "pack");
        check(uct_rkey_unpack(m_dom->component(), key.data(), &bundle),
              "unpack");
        return bundle;
    }

    uct_iov_t iov(size_t offset, size_t len)
    {
        return {m_base + offset, len, m_memh, 0, 1};
    }

    int       m_fd;
    uint8_t  *m_base;
    uct_mem_h m_memh = nullptr;
};

const size_t dmabuf_test::start, dmabuf_test::length;
const uint8_t dmabuf_test::untouched;

} // namespace

TEST_F(dmabuf_test, am_zcopy)
{
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    std::vector<uint8_t> got;
    unsigned count = 0;

    if (!(a.flags() & UCT_IFACE_FLAG_AM_ZCOPY)) {
        GTEST_SKIP() << "no am_zcopy";
    }

    b.on_am(3, [&](void *data, size_t len, unsigned) {
        got.assign((uint8_t *)data, (uint8_t *)data + len);
        ++count;
        return UCS_OK;
    });
    for (size_t len : {(size_t)1, (size_t)32, (size_t)200, (size_t)4000,
                       a.attr().cap.am.max_zcopy}) {
        unsigned before = count;
        put(100, message(len, len));
        EXPECT_EQ(UCS_OK, complete([&](uct_completion_t *comp) {
                      uct_iov_t v = iov(100, len);
                      return uct_ep_am_zcopy(e.ep(), 3, nullptr, 0, &v, 1, 0,
                                             comp);
                  }));
        ASSERT_TRUE(wait([&]() { return count > before; }));
        EXPECT_TRUE(got == message(len, len)) << len;
    }
}

TEST_F(dmabuf_test, get_zcopy)
{
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    buffer host(m_dom, 100000);

    if (!(a.flags() & UCT_IFACE_FLAG_GET_ZCOPY)) {
        GTEST_SKIP() << "no get_zcopy";
    }

    /* Into it, from the host's memory */
    std::vector<uint8_t> sent = message(host.length(), 5);
    memcpy(host.data(), sent.data(), sent.size());
    uct_rkey_bundle_t key = unpack(host.memh());
    EXPECT_EQ(UCS_OK, complete([&](uct_completion_t *comp) {
                  uct_iov_t v = iov(64, sent.size());
                  return uct_ep_get_zcopy(e.ep(), &v, 1, (uintptr_t)host.data(),
                                          key.rkey, comp);
              }));
    uct_rkey_release(m_dom->component(), &key);
    EXPECT_TRUE(get(start + 64, sent.size()) == sent);
    EXPECT_TRUE(get(0, start + 64) ==
                std::vector<uint8_t>(start + 64, untouched));
    size_t behind = start + 64 + sent.size();
    EXPECT_TRUE(get(behind, 4096) == std::vector<uint8_t>(4096, untouched));

    /* From it */
    sent = message(host.length(), 6);
    put(1000, sent);
    key = unpack(m_memh);
    EXPECT_EQ(UCS_OK, complete([&](uct_completion_t *comp) {
                  uct_iov_t v = {host.data(), host.length(), host.memh(), 0, 1};
                  return uct_ep_get_zcopy(e.ep(), &v, 1,
                                          (uintptr_t)m_base + 1000, key.rkey,
                                          comp);
              }));
    uct_rkey_release(m_dom->component(), &key);
    EXPECT_EQ(0, memcmp(host.data(), sent.data(), sent.size()));
}

TEST_F(dmabuf_test, put_zcopy)
{
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    buffer host(m_dom, 100000);

    if (!(a.flags() & UCT_IFACE_FLAG_PUT_ZCOPY)) {
        GTEST_SKIP() << "no put_zcopy";
    }

    std::vector<uint8_t> sent = message(host.length(), 7);
    put(64, sent);
    uct_rkey_bundle_t key = unpack(host.memh());
    EXPECT_EQ(UCS_OK, complete([&](uct_completion_t *comp) {
                  uct_iov_t v = iov(64, sent.size());
                  return uct_ep_put_zcopy(e.ep(), &v, 1, (uintptr_t)host.data(),
                                          key.rkey, comp);
              }));
    flush(e);
    uct_rkey_release(m_dom->component(), &key);
    EXPECT_EQ(0, memcmp(host.data(), sent.data(), sent.size()));
}

/* ------------------------------------------------------------------- fork */

class fork_test : public uct_base {
};

/* A child writes all over the memory while messages from and to it are on
 * their way, and ends. Nothing of that shows here. */
TEST_F(fork_test, child_touches_registered_memory)
{
    const unsigned count = scaled(300);
    node &a = add_node(), &b = add_node();
    end &e = connect(a, b);
    stream s(15, length_plan::ramp(64, 4000));
    checker chk(s);

    if (!(a.flags() & UCT_IFACE_FLAG_AM_ZCOPY)) {
        GTEST_SKIP() << "no am_zcopy";
    }

    buffer idle(m_dom, 1 << 16); /* registered, and in no operation */
    memset(idle.data(), 1, idle.length());
    b.check_am(4, &chk);
    for (unsigned i = 0; i < count; ++i) {
        send(e, ZCOPY, 4, s, i);
        if (i == count / 2) {
            pid_t pid = fork();
            if (pid == 0) {
                memset(idle.data(), 2, idle.length());
                _exit(idle.data()[4096] != 2);
            }
            int status = -1;
            waitpid(pid, &status, 0);
            EXPECT_EQ(0, status);
        }
    }
    ASSERT_TRUE(wait([&]() {
        return (chk.count() == count) && (e.zcopy_busy() == 0);
    }));
    EXPECT_EQ(1, idle.data()[0]);
    EXPECT_EQ(1, idle.data()[idle.length() - 1]);
    expect_clean(chk, count);
}
