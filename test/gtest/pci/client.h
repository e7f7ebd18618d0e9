/*
 * A vfio-user client of the tests' own, and the process that it talks to: what
 * QEMU is to softefa-pci, without a virtual machine.
 */
#ifndef TEST_PCI_CLIENT_H_
#define TEST_PCI_CLIENT_H_

#include "abi/vfio_user.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pci {

/* softefa-pci, started in a fabric of its own */
class server {
public:
    explicit server(const std::vector<std::string> &env  = {},
                    const std::vector<std::string> &args = {},
                    const server *same_fabric            = nullptr);
    ~server();
    server(const server&)            = delete;
    server &operator=(const server&) = delete;

    const std::string &path() const { return m_path; }
    const std::string &fabric() const { return m_fabric; }
    pid_t              pid() const { return m_pid; }

    /* SIGTERM; the status it ended with */
    int stop();

private:
    std::string m_path, m_fabric;
    pid_t       m_pid;
};

struct reply {
    bool                 there;       /* false: the server closed */
    softefa_vfu_header_t header;
    std::vector<uint8_t> payload;
    std::vector<int>     fds;         /* the test's to close */

    int error() const { return there ? (int)header.error : -1; }
    template<typename T> const T &as() const
    {
        EXPECT_GE(payload.size(), sizeof(T));
        return *(const T*)payload.data();
    }
};

class client {
public:
    explicit client(const server &of);
    ~client();
    client(const client&)            = delete;
    client &operator=(const client&) = delete;

    void  send_bytes(const void *data, size_t size,
                     const std::vector<int> &fds = {});
    reply receive();
    reply request(unsigned command, const void *payload, size_t size,
                  const std::vector<int> &fds = {}, unsigned flags = 0);
    template<typename T>
    reply request(unsigned command, const T &payload,
                  const std::vector<int> &fds = {})
    {
        return request(command, &payload, sizeof(payload), fds);
    }

    /* With QEMU's capabilities */
    void hello();

    bool closed();                    /* waits for the server to close */

private:
    int      m_fd;
    uint16_t m_id;
};

} // namespace pci

#endif
