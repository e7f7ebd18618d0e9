#include "client.h"

#include "common/harness.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pci {

server::server(const std::vector<std::string> &env,
               const std::vector<std::string> &args, const server *same_fabric)
{
    static unsigned count;
    std::string name = "pci-" + std::to_string(getpid()) + "-" +
                       std::to_string(count++);
    std::vector<const char *> argv;
    struct stat ignored;
    int status;

    m_fabric = (same_fabric != nullptr) ? same_fabric->fabric() : name;
    m_path   = harness::env("TMPDIR", "/tmp") + "/" + name + ".sock";
    argv     = {SOFTEFA_PCI, "--socket", m_path.c_str()};
    for (const std::string &arg : args) {
        argv.push_back(arg.c_str());
    }
    argv.push_back(nullptr);

    m_pid = fork();
    if (m_pid == 0) {
        setenv("SOFTEFA_FABRIC", m_fabric.c_str(), 1);
        for (const std::string &word : env) {
            putenv(strdup(word.c_str()));
        }
        execv(argv[0], (char **)argv.data());
        _exit(127);
    }

    /* the path is there when it can be connected to */
    EXPECT_TRUE(harness::wait_until(
            [&] {
        return (stat(m_path.c_str(), &ignored) == 0) ||
               (waitpid(m_pid, &status, WNOHANG) == m_pid);
            },
            [] { usleep(1000); }));
}

server::~server()
{
    if (m_pid > 0) {
        stop();
    }
}

int server::stop()
{
    int status = -1;

    kill(m_pid, SIGTERM);
    EXPECT_EQ(m_pid, waitpid(m_pid, &status, 0));
    m_pid = 0;
    return status;
}

client::client(const server &of) : m_id(0)
{
    struct sockaddr_un address = {};

    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, of.path().c_str(), sizeof(address.sun_path) - 1);
    m_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(0, connect(m_fd, (struct sockaddr *)&address, sizeof(address)))
            << of.path();
}

client::~client()
{
    close(m_fd);
}

void client::send_bytes(const void *data, size_t size,
                        const std::vector<int> &fds)
{
    std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
    struct iovec iov  = {(void *)data, size};
    struct msghdr msg = {};
    ssize_t ret;

    msg.msg_iov    = &iov;
    msg.msg_iovlen = 1;
    if (!fds.empty()) {
        msg.msg_control      = control.data();
        msg.msg_controllen   = control.size();
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level     = SOL_SOCKET;
        cmsg->cmsg_type      = SCM_RIGHTS;
        cmsg->cmsg_len       = CMSG_LEN(fds.size() * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds.data(), fds.size() * sizeof(int));
    }

    /* the server may have closed meanwhile: then there is no reply */
    ret = sendmsg(m_fd, &msg, MSG_NOSIGNAL);
    EXPECT_TRUE((ret == (ssize_t)size) || (errno == EPIPE) ||
                (errno == ECONNRESET));
}

/* False: the end */
static bool read_all(int fd, void *buffer, size_t size, std::vector<int> *fds)
{
    char control[CMSG_SPACE(16 * sizeof(int))];
    struct pollfd wait = {fd, POLLIN, 0};
    size_t done        = 0;
    ssize_t ret;

    while (done < size) {
        struct iovec iov  = {(char *)buffer + done, size - done};
        struct msghdr msg = {};

        msg.msg_iov        = &iov;
        msg.msg_iovlen     = 1;
        msg.msg_control    = control;
        msg.msg_controllen = sizeof(control);
        if (poll(&wait, 1, harness::deadline_ms()) <= 0) {
            ADD_FAILURE() << "no reply";
            return false;
        }

        ret = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        if (ret <= 0) {
            return false;
        }

        done += ret;
        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg != nullptr;
             cmsg                 = CMSG_NXTHDR(&msg, cmsg)) {
            size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; ++i) {
                fds->push_back(((int *)CMSG_DATA(cmsg))[i]);
            }
        }
    }

    return true;
}

reply client::receive()
{
    reply result = {};

    if (!read_all(m_fd, &result.header, sizeof(result.header), &result.fds)) {
        return result;
    }

    EXPECT_GE(result.header.size, sizeof(result.header));
    result.payload.resize(result.header.size - sizeof(result.header));
    result.there = read_all(m_fd, result.payload.data(), result.payload.size(),
                            &result.fds);
    return result;
}

reply client::request(unsigned command, const void *payload, size_t size,
                      const std::vector<int> &fds, unsigned flags)
{
    softefa_vfu_header_t header = {};
    std::vector<uint8_t> bytes(sizeof(header) + size);

    header.id      = ++m_id;
    header.command = command;
    header.size    = bytes.size();
    header.flags   = flags;
    memcpy(bytes.data(), &header, sizeof(header));
    if (size > 0) {
        memcpy(bytes.data() + sizeof(header), payload, size);
    }
    send_bytes(bytes.data(), bytes.size(), fds);
    if (flags & SOFTEFA_VFU_NO_REPLY) {
        return reply();
    }

    reply result = receive();
    if (result.there) {
        EXPECT_EQ(m_id, result.header.id);
        EXPECT_EQ(command, result.header.command);
        EXPECT_EQ((unsigned)SOFTEFA_VFU_REPLY,
                  result.header.flags & SOFTEFA_VFU_TYPE);
        EXPECT_EQ(result.header.error != 0,
                  !!(result.header.flags & SOFTEFA_VFU_ERROR));
    }
    return result;
}

void client::hello()
{
    static const char text[] =
            "\0\0\0\0{\"capabilities\": {\"max_msg_fds\": 8, "
            "\"max_data_xfer_size\": 1048576, \"pgsizes\": 4096, "
            "\"max_dma_maps\": 65535, \"write_multiple\": true}}";

    EXPECT_EQ(0, request(SOFTEFA_VFU_VERSION, text, sizeof(text)).error());
}

bool client::closed()
{
    struct pollfd wait = {m_fd, POLLIN, 0};
    char byte;

    return (poll(&wait, 1, harness::deadline_ms()) > 0) &&
           (recv(m_fd, &byte, 1, 0) <= 0);
}

} // namespace pci
