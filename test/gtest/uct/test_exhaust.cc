/*
 * What runs out: queue pairs, completion queues, registrations, address
 * handles, file descriptors, shared memory. Each time one line says what and
 * what to do next, the call that met it returns a status, conversations that
 * were there go on, and when something was given back the same call succeeds.
 * (Receive buffers: test_receive.cc. Locked memory: unit/test_md.cc.)
 *
 * Every case runs in a process and on a device of its own, with small limits.
 */
#include "rma_test.h"

#include "common/counters.h"
#include "common/said.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace uct_test;

namespace {

const uint8_t AM_ID = 9;

/* ---- what must not suffer ---- */

class scene {
public:
    scene() : m_dom(std::make_shared<domain>()), m_a(m_dom), m_b(m_dom),
              m_end(m_a, m_b.addr())
    {
        m_b.check_am(AM_ID, &m_chk);
        m_b.on_am(AM_ID + 1, [](void*, size_t, unsigned) { return UCS_OK; });
        steady("before");
    }

    /* Messages of all kinds between two interfaces that were there before. */
    void steady(const std::string &when)
    {
        for (unsigned i = 0; i < 100; ++i) {
            send_kind kind      = (send_kind)(m_seq % KIND_LAST);
            ucs_status_t status = UCS_OK;
            /* one zcopy at a time: it must not need another registration */
            bool taken = wait_until([&]() {
                status = (m_end.zcopy_busy() > 0) ? UCS_ERR_NO_RESOURCE :
                         m_end.send(kind, AM_ID, m_stream, m_seq);
                return status != UCS_ERR_NO_RESOURCE;
            }, [&]() { progress(); });
            if (!taken || (status != UCS_OK)) {
                complain(when + ": " + kind_names[kind] + " says " +
                         ucs_status_string(status));
                return;
            }
            ++m_seq;
        }
        if (!wait_until([&]() {
                return (m_chk.count() >= m_seq) && (m_end.zcopy_busy() == 0);
            }, [&]() { progress(); })) {
            complain(when + ": the messages do not arrive");
        }
        if ((m_chk.errors() > 0) || !m_end.promises().empty() ||
            !m_a.failures.empty() || !m_b.failures.empty()) {
            complain(when + ": " + m_chk.text() + m_end.promises());
        }
    }

    /* The next line, and the only one: has all these words. Then forgets it. */
    void said(const std::vector<std::string> &words)
    {
        m_text += m_said.only(words);
    }

    void silent(const std::string &when)
    {
        std::string text = m_said.none();

        if (!text.empty()) {
            complain(when + ": " + text);
        }
    }

    class said &lines()
    {
        return m_said;
    }

    /* Does it until it throws; returns what was thrown. */
    std::string until_refused(const std::function<void()> &more, unsigned max)
    {
        for (unsigned i = 0; i < max; ++i) {
            try {
                more();
            } catch (const std::runtime_error &e) {
                return e.what();
            }
        }
        complain("never refused");
        return "";
    }

    void status(const std::string &thrown, ucs_status_t expected)
    {
        if (thrown.find(ucs_status_string(expected)) == std::string::npos) {
            complain("refused with " + thrown + " instead of " +
                     ucs_status_string(expected));
        }
    }

    void expect(bool good, const std::string &text)
    {
        if (!good) {
            complain(text);
        }
    }

    void complain(const std::string &text)
    {
        m_text += text + "; ";
    }

    void progress()
    {
        m_a.progress();
        m_b.progress();
    }

    std::shared_ptr<domain> dom() const    { return m_dom; }
    node                   &a()            { return m_a; }
    node                   &b()            { return m_b; }
    const std::string      &text() const   { return m_text; }

private:
    class said              m_said;
    std::shared_ptr<domain> m_dom;
    node                    m_a, m_b;
    end                     m_end;
    stream                  m_stream{31, length_plan::random(8, 150)};
    checker                 m_chk{m_stream};
    uint64_t                m_seq = 0;
    std::string             m_text;
};

/* Opens interfaces until one is refused, with a line that has these words. */
std::string interfaces(ucs_status_t expected,
                       const std::vector<std::string> &words)
{
    std::vector<std::unique_ptr<node>> more;
    scene s;

    for (unsigned round = 0; round < 2; ++round) {
        std::string thrown =
                s.until_refused([&]() { more.emplace_back(new node(s.dom())); },
                                100);

        s.status(thrown, expected);
        s.said(words);
        s.steady("without more interfaces");
        s.expect(!more.empty(), "not a single one");
        more.pop_back(); /* the next round gets this one, no more */
        more.emplace_back(new node(s.dom()));
        s.silent("one given back");
        end to(*more.back(), s.b().addr());
        s.expect(to.send(BCOPY, AM_ID + 1, stream(), 0) == UCS_OK, "no send");
        s.expect(wait_until(
                         [&]() {
            return uct_ep_flush(to.ep(), 0, nullptr) == UCS_OK;
                         },
                         [&]() {
            more.back()->progress();
            s.progress();
        }),
                "no flush");
    }
    more.clear();
    s.steady("after");
    s.silent("at the end");
    return s.text();
}

/* Registers until the device is full. */
std::string registrations()
{
    std::vector<std::unique_ptr<region>> more;
    scene s;

    for (unsigned round = 0; round < 2; ++round) {
        std::string thrown = s.until_refused(
                [&]() { more.emplace_back(new region(s.dom(), 4096)); }, 1000);

        s.status(thrown, UCS_ERR_NO_MEMORY);
        s.said({"cannot register", "max_mr", "UCX_EFA_RCACHE_MAX_REGIONS"});
        s.steady("without more registrations");
        more.pop_back();
        more.emplace_back(new region(s.dom(), 4096));
        s.silent("one given back");
    }

    /* Neither is there one for an interface's buffers */
    s.status(s.until_refused([&]() { node n(s.dom()); }, 1), UCS_ERR_NO_MEMORY);
    s.expect(!s.lines().lines().empty(), "not a word about the interface");
    s.lines().forget();
    s.steady("without another interface");
    more.clear();
    node n(s.dom());
    s.steady("after");
    s.silent("at the end");
    return s.text();
}

/* Registrations that the cache keeps for nobody make room. */
std::string idle_registrations()
{
    std::vector<std::unique_ptr<region>> more;
    config_map cached       = {{"RCACHE", "y"}};
    const unsigned messages = UCT_MD_MEM_ACCESS_LOCAL_READ |
                              UCT_MD_MEM_ACCESS_LOCAL_WRITE;
    scene s;
    auto dom      = std::make_shared<domain>(cached);
    size_t length = 4096;

    /* Used once, given back: four times as many as the device has */
    for (unsigned i = 0; i < 32; ++i) {
        more.emplace_back(new region(dom, length));
        more.back()->dereg();
    }
    s.silent("idle ones");
    /* Somebody else takes what is left of the device */
    s.until_refused([&]() { more.emplace_back(new region(s.dom(), length)); },
                    1000);
    s.lines().forget();
    /* As many as are kept (max_mr / 16) for nobody */
    for (unsigned i = 0; i < 4; ++i) {
        try {
            more.emplace_back(new region(dom, length, 0,
                                         (i & 1) ? messages : region::ALL));
        } catch (const std::runtime_error &e) {
            s.complain("idle ones are in the way of number " +
                       std::to_string(i) + ": " + e.what());
        }
    }
    s.silent("idle ones give way");
    s.status(s.until_refused([&]() { region r(dom, length); }, 1),
             UCS_ERR_NO_MEMORY);
    s.said({"max_mr"});
    s.steady("with a full cache");
    return s.text();
}

/* No registration is left when the first copy is to be sent: all goes through
 * the one buffer that an interface has had since it was opened. */
std::string send_buffers()
{
    auto dom = std::make_shared<domain>();
    node a(dom), b(dom);
    end to_b(a, b.addr());
    stream messages(32, length_plan::random(200, 8000));
    checker chk(messages);
    region target(dom, 8000);
    rkey key(dom, target.key());
    std::vector<std::unique_ptr<region>> more;
    std::vector<uint8_t> local(target.length());
    auto progress = [&]() {
        a.progress();
        b.progress();
    };
    std::string text = "the device is never full; ";
    said lines;

    b.check_am(AM_ID, &chk);
    for (unsigned i = 0; i < 1000; ++i) {
        try {
            more.emplace_back(new region(dom, 4096));
        } catch (const std::runtime_error &) {
            text = "";
            break;
        }
    }
    lines.forget();

    for (unsigned i = 0; (i < 50) && text.empty(); ++i) {
        ucs_status_t status = UCS_OK;
        if (!wait_until(
                    [&]() {
            status = to_b.send(BCOPY, AM_ID, messages, i);
            return status != UCS_ERR_NO_RESOURCE;
                    },
                    progress) ||
            (status != UCS_OK)) {
            text += std::string("send: ") + ucs_status_string(status) + "; ";
        }
    }
    if (!wait_until([&]() { return chk.count() == 50; }, progress)) {
        text += "messages do not arrive; ";
    }
    text += chk.text();

    for (rma_kind kind : {PUT_BCOPY, GET_BCOPY}) {
        remote where{target.addr(), key.get()};
        ucs_status_t status = UCS_OK;
        rma_op op;

        if (!rma_has(a.attr(), kind)) {
            continue;
        }
        op.local = local.data();
        target.fill(5);
        if (!wait_until(
                    [&]() {
            status = op.issue(to_b.ep(), kind, local.size(), 5, where);
            return status != UCS_ERR_NO_RESOURCE;
                    },
                    progress) ||
            (status != UCS_OK) ||
            !wait_until(
                    [&]() {
            return (op.state == rma_op::DONE) &&
                   (uct_ep_flush(to_b.ep(), 0, nullptr) == UCS_OK);
                    },
                    progress) ||
                (op.status != UCS_OK)) {
            text += std::string(rma_names[kind]) + " fails; ";
        }
        text += op.verify() + rma_verify(target.data(), target.length(), 5);
    }

    /* Beside UCX's own line */
    bool is_said = false;
    for (const std::string &line : lines.lines()) {
        is_said |= (line.find("no memory for more than 1 send buffers") !=
                    std::string::npos);
    }
    if (!is_said) {
        text += "not said, but: " + lines.none();
    }
    lines.forget();
    return text;
}

/* Opens interfaces without a descriptor to spare. */
std::string descriptors()
{
    scene s;
    struct rlimit before, none;

    getrlimit(RLIMIT_NOFILE, &before);
    for (unsigned spare = 0; spare < 8; ++spare) {
        int lowest    = dup(0);
        none          = before;
        none.rlim_cur = lowest + spare;
        close(lowest);
        setrlimit(RLIMIT_NOFILE, &none);
        try {
            node n(s.dom());
            setrlimit(RLIMIT_NOFILE, &before);
            s.silent("enough descriptors");
            s.expect(spare > 0, "needs none at all");
            s.expect(n.attr().cap.event_flags == s.a().attr().cap.event_flags,
                     "has silently no events, spare " + std::to_string(spare));
            s.steady("with enough");
            return s.text();
        } catch (const std::runtime_error &e) {
            s.status(e.what(), UCS_ERR_IO_ERROR);
            s.said({"oo many open files", "ulimit -n"});
        }
        s.steady("without descriptors");
        setrlimit(RLIMIT_NOFILE, &before);
    }
    s.complain("no interface with 8 descriptors");
    return s.text();
}

/* The device itself is opened without a descriptor to spare. */
std::string device_descriptors()
{
    scene s;
    struct rlimit before, none;
    unsigned refused = 0;

    getrlimit(RLIMIT_NOFILE, &before);
    for (unsigned spare = 0; spare < 16; ++spare) {
        int lowest    = dup(0);
        none          = before;
        none.rlim_cur = lowest + spare;
        close(lowest);
        setrlimit(RLIMIT_NOFILE, &none);
        try {
            domain d;
            setrlimit(RLIMIT_NOFILE, &before);
            s.steady("with enough");
            s.expect(refused > 0, "needs none at all");
            return s.text();
        } catch (const std::runtime_error &) {
            ++refused;
        }
        setrlimit(RLIMIT_NOFILE, &before);
        s.steady("without descriptors");
    }
    s.complain("no device with 16 descriptors");
    return s.text();
}

/* /dev/shm of this process is small; what is left of it is used up. */
std::string shared_memory()
{
    std::vector<std::unique_ptr<node>> more;
    scene s;
    int fd = open("/dev/shm/ballast", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    struct statvfs fs;

    s.expect((fd >= 0) && (statvfs("/dev/shm", &fs) == 0), "no /dev/shm");
    s.expect(posix_fallocate(fd, 0, fs.f_bavail * fs.f_bsize) == 0, "ballast");
    for (unsigned round = 0; round < 2; ++round) {
        std::string thrown =
                s.until_refused([&]() { more.emplace_back(new node(s.dom())); },
                                64);
        s.status(thrown, UCS_ERR_NO_MEMORY);
        s.said({"memory is short"});
        s.steady("without memory");
    }
    s.expect(ftruncate(fd, 0) == 0, "ballast");
    more.emplace_back(new node(s.dom()));
    s.silent("with memory");
    s.steady("after");
    close(fd);
    unlink("/dev/shm/ballast");
    return s.text();
}

/* Another process in a mount namespace where /dev/shm has 4 MiB */
std::string small_shm()
{
    /* Where / is no mount point, as below chroot, /dev/shm is one */
    if ((unshare(CLONE_NEWNS) != 0) ||
        ((mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) &&
         (mount("none", "/dev/shm", nullptr, MS_PRIVATE, nullptr) != 0)) ||
        (mount("none", "/dev/shm", "tmpfs", 0, "size=4m") != 0)) {
        return "skip";
    }
    return run_role("exhaust shared_memory", {"XDG_RUNTIME_DIR=/dev/shm"});
}

/* Interfaces that each have a device, and so handles, of their own */
class hosts {
public:
    explicit hosts(unsigned num)
    {
        for (unsigned i = 0; i < num; ++i) {
            setenv("TEST_DEV", ("efa_" + std::to_string(i) + ":1").c_str(), 1);
            m_nodes.emplace_back(new node(std::make_shared<domain>()));
            m_nodes.back()->on_am(AM_ID, [&](void*, size_t, unsigned) {
                ++m_got;
                return UCS_OK;
            });
        }
    }

    node &operator[](unsigned i) { return *m_nodes[i]; }

    bool wait(const std::function<bool()> &done)
    {
        return wait_until(done, [&]() {
            for (auto &n : m_nodes) {
                n->progress();
            }
        });
    }

    /* A message that is taken */
    ucs_status_t send(end &e, unsigned i)
    {
        ucs_status_t status = UCS_OK;

        return wait([&]() {
            status = e.send(BCOPY, AM_ID, stream(i), i);
            return status != UCS_ERR_NO_RESOURCE;
        }) ? status : UCS_ERR_TIMED_OUT;
    }

    /* ... and arrives; empty, or what is wrong */
    std::string talk(end &e, unsigned i)
    {
        uint64_t before     = m_got;
        ucs_status_t status = send(e, i);

        return ((status == UCS_OK) && wait([&]() {
            return (m_got > before) &&
                   (uct_ep_flush(e.ep(), 0, nullptr) == UCS_OK);
        })) ? "" : "number " + std::to_string(i) + ": " +
                           ucs_status_string(status) + "; ";
    }

private:
    std::vector<std::unique_ptr<node>> m_nodes;
    uint64_t                           m_got = 0;
};

/* One interface talks to seven others in turn, more than it has handles for,
 * and closes each endpoint; theirs stay open. Then they talk to it. */
std::string handles()
{
    const unsigned leaves = 7;
    hosts all(leaves + 1);
    std::vector<std::unique_ptr<end>> back;
    std::string text;

    for (unsigned i = 1; (i <= leaves) && text.empty(); ++i) {
        back.emplace_back(new end(all[i], all[0].addr()));
        text += all.talk(*back.back(), i);
        end e(all[0], all[i].addr());
        text += all.talk(e, i);
    }
    for (unsigned i = 0; (i < leaves) && text.empty(); ++i) {
        text += all.talk(*back[i], 10 + i);
        end e(all[0], all[i + 1].addr());
        text += all.talk(e, 20 + i);
    }
    back.clear();
    return text;
}

/* One message to each of more hosts than there are handles, and none of them says
 * HELLO_ACK: they do not progress. Those that still have a handle repeat HELLO, and
 * none takes a handle from another to do so. When they progress all talk. */
std::string hello_handles()
{
    const unsigned leaves = 7, repeats = 4;
    hosts all(leaves + 1);
    std::vector<std::unique_ptr<end>> ends;
    auto wait_alone = [&](const std::function<bool()> &done) {
        return wait_until(done, [&]() { all[0].progress(); });
    };
    std::string text;
    uint64_t made, again;

    for (unsigned i = 0; i < leaves; ++i) {
        ends.emplace_back(new end(all[0], all[i + 1].addr()));
        if (!wait_alone([&]() {
                return ends[i]->send(BCOPY, AM_ID, stream(i), i) == UCS_OK;
            }) ||
            !wait_alone([&]() {
                return uct_ep_flush(ends[i]->ep(), 0, nullptr) == UCS_OK;
            })) {
            return "number " + std::to_string(i) + " is not sent to";
        }
    }

    made  = counter("ah_create");
    again = counter("hello_retry");
    if (made < leaves) {
        return "a handle for each: " + std::to_string(made);
    }
    if (!wait_alone([&]() {
            return counter("hello_retry") >= again + repeats;
        })) {
        return "HELLO is not repeated";
    }
    if (counter("ah_create") != made) {
        return std::to_string(counter("ah_create") - made) +
               " handles were made to repeat HELLO";
    }

    for (unsigned i = 0; (i < leaves) && text.empty(); ++i) {
        text = all.talk(*ends[i], 10 + i);
    }
    return text;
}

/* As many endpoints fail as there are handles, and stay open: the next peer
 * gets one all the same. */
std::string failed_handles()
{
    const unsigned max = 2;
    hosts all(max + 2);
    std::vector<std::unique_ptr<end>> kept;
    std::string text;

    for (unsigned i = 1; i <= max; ++i) {
        kept.emplace_back(new end(all[0], all[i].addr().nobody(false)));
        end &e = *kept.back();
        if (all.send(e, i) != UCS_OK) {
            return "nothing is sent to number " + std::to_string(i);
        }
        if (!all.wait([&]() { return all[0].failure_count(e.ep()) > 0; })) {
            return "number " + std::to_string(i) + " does not fail";
        }
    }

    end e(all[0], all[max + 1].addr());
    text = all.talk(e, max + 1);
    for (auto &failed : kept) {
        if (!UCS_STATUS_IS_ERR(failed->send(BCOPY, AM_ID, stream(1), 1))) {
            text += "a failed one sends; ";
        }
    }
    return text;
}

} // namespace

HARNESS_ROLE(exhaust)
{
    const std::string &what = arguments;

    if (what == "qps") {
        return interfaces(UCS_ERR_NO_MEMORY,
                          {"queue pair", "efa_0", "max_qp", "8"});
    } else if (what == "cqs") {
        return interfaces(UCS_ERR_NO_MEMORY,
                          {"completion queue", "efa_0", "max_cq", "8"});
    } else if (what == "mrs") {
        return registrations();
    } else if (what == "idle_mrs") {
        return idle_registrations();
    } else if (what == "send_buffers") {
        return send_buffers();
    } else if (what == "fds") {
        return descriptors();
    } else if (what == "device_fds") {
        return device_descriptors();
    } else if (what == "handles") {
        return handles();
    } else if (what == "hello_handles") {
        return hello_handles();
    } else if (what == "failed_handles") {
        return failed_handles();
    } else if (what == "shared_memory") {
        return shared_memory();
    } else if (what == "small_shm") {
        return small_shm();
    }
    throw std::runtime_error("exhaust what? " + what);
}

class exhaust_test : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (!is_srd()) {
            GTEST_SKIP();
        }
    }

    void run(const std::string &what, const std::string &limits = "")
    {
        std::vector<std::string> variables;

        if (!limits.empty()) {
            variables.push_back("SOFTEFA_LIMITS=" + limits);
        }
        std::string text = run_role("exhaust " + what, variables);
        if (text == "skip") {
            GTEST_SKIP() << "not allowed";
        }
        EXPECT_EQ("", text);
    }
};

TEST_F(exhaust_test, queue_pairs)
{
    run("qps", "max_qp=8");
}

TEST_F(exhaust_test, completion_queues)
{
    run("cqs", "max_cq=8");
}

TEST_F(exhaust_test, registrations)
{
    run("mrs", "max_mr=64");
}

TEST_F(exhaust_test, registrations_kept_for_nobody)
{
    run("idle_mrs", "max_mr=64");
}

TEST_F(exhaust_test, send_buffers)
{
    run("send_buffers", "max_mr=64");
}

TEST_F(exhaust_test, file_descriptors)
{
    run("fds");
}

TEST_F(exhaust_test, file_descriptors_of_the_device)
{
    run("device_fds");
}

TEST_F(exhaust_test, shared_memory)
{
    run("small_shm");
}

TEST_F(exhaust_test, address_handles)
{
    EXPECT_EQ("", run_role("exhaust handles",
                           {"SOFTEFA_DEVICES=8", "SOFTEFA_LIMITS=max_ah=3"}));
    EXPECT_EQ("", run_role("exhaust handles",
                           {"SOFTEFA_DEVICES=8",
                            "SOFTEFA_LIMITS=max_ah=3,source_gid=0"}));
}

TEST_F(exhaust_test, address_handles_of_hellos)
{
    EXPECT_EQ("", run_role("exhaust hello_handles",
                           {"SOFTEFA_DEVICES=8", "SOFTEFA_LIMITS=max_ah=3"}));
}

TEST_F(exhaust_test, address_handles_of_failed_endpoints)
{
    EXPECT_EQ("",
              run_role("exhaust failed_handles",
                       {"SOFTEFA_DEVICES=4", "SOFTEFA_LIMITS=max_ah=2",
                        "UCX_SRD_GONE_TIMEOUT=100ms", "UCX_LOG_LEVEL=error"}));
}

/* Fewer handles than hosts, and a device that does not tell who a message
 * without a handle is from: they are asked for back (EXT_REQ). */
TEST_F(exhaust_test, address_handles_without_source_gids)
{
    for (const char *kind : {"get_bcopy", "get_zcopy"}) {
        EXPECT_EQ("", run_role(std::string("evict ") + kind + " asked",
                               {"SOFTEFA_DEVICES=8", "SOFTEFA_LIMITS="
                                                     "max_ah=3,source_gid=0"}));
    }
}
