/* What softefa-pci makes of messages: right ones, and all that is wrong. */
#include "client.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

class protocol : public ::testing::Test {
protected:
    protocol() : m_client(m_server) {}

    pci::reply bare(unsigned command, size_t size = 0)
    {
        std::vector<uint8_t> zeros(size);

        return m_client.request(command, zeros.data(), size);
    }

    pci::reply region(unsigned index, uint32_t argsz = 32)
    {
        softefa_vfu_region_info_t info = {};

        info.argsz = argsz;
        info.index = index;
        return m_client.request(SOFTEFA_VFU_GET_REGION_INFO, info);
    }

    pci::reply access(unsigned command, unsigned region, uint64_t offset,
                      uint32_t count, size_t data)
    {
        std::vector<uint8_t> bytes(sizeof(softefa_vfu_access_t) + data);
        softefa_vfu_access_t *head = (softefa_vfu_access_t*)bytes.data();

        head->offset = offset;
        head->region = region;
        head->count  = count;
        return m_client.request(command, bytes.data(), bytes.size());
    }

    pci::reply irqs(unsigned flags, unsigned index, unsigned start,
                    unsigned count, const std::vector<int> &fds = {})
    {
        softefa_vfu_set_irqs_t set = {sizeof(set), flags, index, start, count};

        return m_client.request(SOFTEFA_VFU_SET_IRQS, set, fds);
    }

    pci::reply map(uint64_t address, uint64_t size, int fd, uint64_t offset = 0)
    {
        softefa_vfu_dma_map_t map = {sizeof(map), 3, offset, address, size};

        return m_client.request(SOFTEFA_VFU_DMA_MAP, map,
                                (fd < 0) ? std::vector<int>() :
                                           std::vector<int>({fd}));
    }

    /* Still served after whatever was wrong */
    void expect_alive()
    {
        EXPECT_EQ(0, bare(SOFTEFA_VFU_GET_INFO, 16).error());
    }

    pci::server m_server;
    pci::client m_client;
};

static unsigned open_fds(pid_t pid)
{
    std::string path = "/proc/" + std::to_string(pid) + "/fd/";
    unsigned count   = 0;
    struct stat ignored;

    for (int fd = 0; fd < 256; ++fd) {
        count += (lstat((path + std::to_string(fd)).c_str(), &ignored) == 0);
    }
    return count;
}

TEST_F(protocol, version_first)
{
    EXPECT_EQ(EINVAL, bare(SOFTEFA_VFU_GET_INFO, 16).error());
    m_client.hello();
    expect_alive();
    EXPECT_EQ(EINVAL, bare(SOFTEFA_VFU_VERSION, 4).error()); /* once */
    expect_alive();
}

TEST_F(protocol, version_wrong)
{
    uint16_t major[2] = {1, 0};

    EXPECT_EQ(EINVAL, bare(SOFTEFA_VFU_VERSION, 0).error());
    EXPECT_EQ(EINVAL, bare(SOFTEFA_VFU_VERSION, 3).error());
    EXPECT_EQ(EOPNOTSUPP, m_client.request(SOFTEFA_VFU_VERSION, major).error());
    /* text without its end */
    EXPECT_EQ(EINVAL,
              m_client.request(SOFTEFA_VFU_VERSION, "\0\0\0\0{}", 6).error());
    m_client.hello();
}

TEST_F(protocol, version_without_text)
{
    uint16_t version[2] = {0, 9};
    pci::reply reply    = m_client.request(SOFTEFA_VFU_VERSION, version);

    ASSERT_EQ(0, reply.error());
    EXPECT_EQ(0, reply.as<softefa_vfu_version_t>().major);
    EXPECT_LE(reply.as<softefa_vfu_version_t>().minor, 9);
    EXPECT_EQ(0, reply.payload.back());
    /* nothing that the client does not know */
    EXPECT_STREQ("{\"capabilities\":{}}", (const char *)&reply.payload[4]);
}

TEST_F(protocol, unknown_commands)
{
    m_client.hello();
    for (unsigned command : {0, 6, 11, 12, 14, 15, 16, 99, 65535}) {
        EXPECT_EQ(EOPNOTSUPP, bare(command, 64).error()) << command;
    }
    expect_alive();
}

TEST_F(protocol, short_payloads)
{
    static const struct {
        unsigned command;
        size_t   size;
    } table[] = {
        {SOFTEFA_VFU_DMA_MAP, 32}, {SOFTEFA_VFU_DMA_UNMAP, 24},
        {SOFTEFA_VFU_GET_INFO, 16}, {SOFTEFA_VFU_GET_REGION_INFO, 32},
        {SOFTEFA_VFU_GET_IRQ_INFO, 16}, {SOFTEFA_VFU_SET_IRQS, 20},
        {SOFTEFA_VFU_REGION_READ, 16}, {SOFTEFA_VFU_REGION_WRITE, 16}
    };

    m_client.hello();
    for (const auto &row : table) {
        for (size_t size = 0; size < row.size; ++size) {
            EXPECT_EQ(EINVAL, bare(row.command, size).error())
                    << row.command << " " << size;
        }
    }
    expect_alive();
}

TEST_F(protocol, sizes_that_are_no_messages)
{
    softefa_vfu_header_t header = {1, SOFTEFA_VFU_VERSION, 15, 0, 0};
    m_client.send_bytes(&header, sizeof(header));
    EXPECT_TRUE(m_client.closed());

    for (uint32_t size : {0u, 1u << 20, UINT32_MAX}) {
        pci::client next(m_server);

        header.size = size;
        next.send_bytes(&header, sizeof(header));
        EXPECT_TRUE(next.closed()) << size;
    }

    pci::client last(m_server);
    last.hello();
}

TEST_F(protocol, a_reply_is_no_command)
{
    softefa_vfu_header_t header = {1, SOFTEFA_VFU_VERSION, 16,
                                   SOFTEFA_VFU_REPLY, 0};

    m_client.send_bytes(&header, sizeof(header));
    EXPECT_TRUE(m_client.closed());
}

TEST_F(protocol, pieces)
{
    softefa_vfu_header_t header = {7, SOFTEFA_VFU_GET_INFO, 32, 0, 0};
    std::vector<uint8_t> bytes(32);
    pci::reply reply;

    m_client.hello();
    memcpy(bytes.data(), &header, sizeof(header));
    for (uint8_t byte : bytes) {
        m_client.send_bytes(&byte, 1);
    }
    reply = m_client.receive();
    EXPECT_EQ(0, reply.error());
    EXPECT_EQ(7, reply.header.id);

    /* two in one piece: two replies, in their order */
    bytes.insert(bytes.end(), bytes.begin(), bytes.end());
    bytes[32] = 8;
    m_client.send_bytes(bytes.data(), bytes.size());
    EXPECT_EQ(7, m_client.receive().header.id);
    EXPECT_EQ(8, m_client.receive().header.id);
}

TEST_F(protocol, no_reply)
{
    softefa_vfu_access_t access = {0, SOFTEFA_VFU_REGION_CONFIG, 1};
    uint8_t bytes[17]           = {};

    m_client.hello();
    memcpy(bytes, &access, sizeof(access));
    m_client.request(SOFTEFA_VFU_REGION_WRITE, bytes, sizeof(bytes), {},
                     SOFTEFA_VFU_NO_REPLY);
    expect_alive(); /* its reply, not that of the write */
}

TEST_F(protocol, second_client)
{
    m_client.hello();
    {
        pci::client other(m_server);
        EXPECT_TRUE(other.closed());
    }
    expect_alive();
}

TEST_F(protocol, regions)
{
    static const uint64_t sizes[SOFTEFA_VFU_NUM_REGIONS] = {
        16384, 0, 64 << 20, 0, 64 << 20, 0, 0, 4096, 0
    };

    m_client.hello();
    for (unsigned i = 0; i < SOFTEFA_VFU_NUM_REGIONS; ++i) {
        pci::reply reply = region(i);
        ASSERT_EQ(0, reply.error());
        EXPECT_EQ(sizes[i], reply.as<softefa_vfu_region_info_t>().size) << i;
        EXPECT_EQ((i == 2) ? 1u : 0u, reply.fds.size());
        for (int fd : reply.fds) {
            struct stat info;
            EXPECT_EQ(0, fstat(fd, &info));
            EXPECT_EQ(sizes[i], (uint64_t)info.st_size);
            close(fd);
        }
    }

    EXPECT_EQ(EINVAL, region(SOFTEFA_VFU_NUM_REGIONS).error());
    EXPECT_EQ(EINVAL, region(UINT32_MAX).error());
    EXPECT_EQ(EINVAL, region(0, 31).error());
}

TEST_F(protocol, accesses_outside)
{
    const unsigned read  = SOFTEFA_VFU_REGION_READ;
    const unsigned write = SOFTEFA_VFU_REGION_WRITE;

    m_client.hello();
    for (unsigned region : {0, 2, 4, 7}) {
        uint64_t size = (region == 0) ? 16384 :
                        (region == 7) ? 4096 :
                                        (64 << 20);
        EXPECT_EQ(0, access(read, region, size - 4, 4, 0).error());
        EXPECT_EQ(0, access(write, region, size - 4, 4, 4).error());
        EXPECT_EQ(EINVAL, access(read, region, size - 3, 4, 0).error());
        EXPECT_EQ(EINVAL, access(write, region, size - 3, 4, 4).error());
        EXPECT_EQ(EINVAL, access(read, region, size, 1, 0).error());
        EXPECT_EQ(EINVAL, access(read, region, UINT64_MAX, 2, 0).error());
        EXPECT_EQ(EINVAL, access(read, region, 0, 0, 0).error());
        EXPECT_EQ(EINVAL, access(read, region, 0, 65537, 0).error());
        EXPECT_EQ(EINVAL, access(read, region, 0, UINT32_MAX, 0).error());
        EXPECT_EQ(EINVAL, access(write, region, 0, 4, 3).error());
    }
    for (unsigned region : {1, 3, 5, 6, 8, 9, -1}) {
        EXPECT_EQ(EINVAL, access(read, region, 0, 4, 0).error()) << region;
        EXPECT_EQ(EINVAL, access(write, region, 0, 4, 4).error()) << region;
    }

    /* odd accesses to registers and doorbells are ignored */
    for (uint32_t count : {1, 2, 3, 8, 64}) {
        for (unsigned region : {0, 4}) {
            EXPECT_EQ(0, access(read, region, 1, count, 0).error());
            EXPECT_EQ(0, access(write, region, 0x58, count, count).error());
        }
    }
    expect_alive();
}

TEST_F(protocol, config_space)
{
    pci::reply reply;

    m_client.hello();
    reply = access(SOFTEFA_VFU_REGION_READ, 7, 0, 64, 0);
    ASSERT_EQ(0, reply.error());
    const uint8_t *config = &reply.payload[sizeof(softefa_vfu_access_t)];
    EXPECT_EQ(0x1d0f, config[0] | (config[1] << 8));
    EXPECT_EQ(0xefa1, config[2] | (config[3] << 8));
    EXPECT_EQ(0x02, config[0xb]);

    /* ids cannot be written, the command register can */
    uint8_t bytes[sizeof(softefa_vfu_access_t) + 8];
    softefa_vfu_access_t head = {0, 7, 8};
    memset(bytes, 0xff, sizeof(bytes));
    memcpy(bytes, &head, sizeof(head));
    EXPECT_EQ(0,
              m_client.request(SOFTEFA_VFU_REGION_WRITE, bytes, sizeof(bytes))
                      .error());
    reply  = access(SOFTEFA_VFU_REGION_READ, 7, 0, 8, 0);
    config = &reply.payload[sizeof(softefa_vfu_access_t)];
    EXPECT_EQ(0x0f, config[0]);
    EXPECT_EQ(0x06, config[4]);
}

TEST_F(protocol, interrupts)
{
    const unsigned set = SOFTEFA_VFU_SET_EVENTFD | SOFTEFA_VFU_SET_TRIGGER;
    std::vector<int> fds;
    softefa_vfu_irq_info_t info = {16, 0, SOFTEFA_VFU_IRQ_MSIX, 0};
    uint64_t value;

    m_client.hello();
    EXPECT_EQ(9u, m_client.request(SOFTEFA_VFU_GET_IRQ_INFO, info)
                          .as<softefa_vfu_irq_info_t>()
                          .count);
    info.index = 0;
    EXPECT_EQ(0u, m_client.request(SOFTEFA_VFU_GET_IRQ_INFO, info)
                          .as<softefa_vfu_irq_info_t>()
                          .count);
    info.index = SOFTEFA_VFU_NUM_IRQS;
    EXPECT_EQ(EINVAL, m_client.request(SOFTEFA_VFU_GET_IRQ_INFO, info).error());

    for (int i = 0; i < 2; ++i) {
        fds.push_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
    EXPECT_EQ(EINVAL, irqs(set, 2, 8, 2, fds).error());
    EXPECT_EQ(EINVAL, irqs(set, 2, UINT32_MAX, 2, fds).error());
    EXPECT_EQ(EINVAL, irqs(set, 2, 0, 3, fds).error());
    EXPECT_EQ(EINVAL, irqs(set, 0, 0, 2, fds).error());
    EXPECT_EQ(EINVAL, irqs(set, 9, 0, 2, fds).error());
    EXPECT_EQ(EINVAL, irqs(0, 2, 0, 2).error());
    EXPECT_EQ(EINVAL, irqs(7 | SOFTEFA_VFU_SET_TRIGGER, 2, 0, 2).error());
    EXPECT_EQ(EOPNOTSUPP,
              irqs(SOFTEFA_VFU_SET_EVENTFD | SOFTEFA_VFU_SET_MASK, 2, 0, 2, fds)
                      .error());
    EXPECT_EQ(EINVAL,
              irqs(SOFTEFA_VFU_SET_BOOL | SOFTEFA_VFU_SET_TRIGGER, 2, 0, 2)
                      .error());

    /* raised before there is a descriptor: it is not lost */
    const unsigned raise = SOFTEFA_VFU_SET_NONE | SOFTEFA_VFU_SET_TRIGGER;
    EXPECT_EQ(0, irqs(raise, 2, 7, 1).error());
    EXPECT_EQ(0, irqs(set, 2, 7, 2, fds).error());
    EXPECT_EQ((ssize_t)sizeof(value), read(fds[0], &value, sizeof(value)));
    EXPECT_GT(0, read(fds[1], &value, sizeof(value)));
    EXPECT_EQ(0, irqs(raise, 2, 8, 1).error());
    EXPECT_EQ((ssize_t)sizeof(value), read(fds[1], &value, sizeof(value)));

    /* all off */
    EXPECT_EQ(0, irqs(raise, 2, 0, 0).error());
    EXPECT_EQ(0, irqs(raise, 2, 7, 2).error());
    EXPECT_GT(0, read(fds[0], &value, sizeof(value)));
    for (int fd : fds) {
        close(fd);
    }
}

TEST_F(protocol, memory)
{
    int fd                        = memfd_create("guest", MFD_CLOEXEC);
    softefa_vfu_dma_unmap_t unmap = {24, 0, 0x10000, 0x10000};

    ASSERT_EQ(0, ftruncate(fd, 1 << 20));
    m_client.hello();
    EXPECT_EQ(EINVAL, map(0, 0, fd).error());
    EXPECT_EQ(EINVAL, map(UINT64_MAX - 4095, 8192, fd).error());
    EXPECT_EQ(EINVAL, map(0, 4096, fd, UINT64_MAX - 4095).error());
    EXPECT_EQ(EINVAL, map(0, 4096, fd, 1).error()); /* mmap() says */
    EXPECT_EQ(EINVAL,
              map(0, (1 << 20) + 4096, fd).error()); /* the file's end */
    EXPECT_EQ(EINVAL, map(0, 8192, fd, (1 << 20) - 4096).error());
    EXPECT_EQ(0, map(0x10000, 0x10000, fd).error());
    EXPECT_EQ(0, map(0x20000, 0x10000, -1).error()); /* not mappable */
    for (uint64_t address : {0x10000, 0x1f000, 0x8000, 0x28000}) {
        EXPECT_EQ(EEXIST, map(address, 0x10000, fd).error()) << address;
    }
    EXPECT_EQ(0, map(UINT64_MAX - 4095, 4096, fd).error());

    EXPECT_EQ(0, m_client.request(SOFTEFA_VFU_DMA_UNMAP, unmap).error());
    EXPECT_EQ(EINVAL, m_client.request(SOFTEFA_VFU_DMA_UNMAP, unmap).error());
    unmap.address = 0x20000;
    unmap.size    = 0x8000; /* a part */
    EXPECT_EQ(EINVAL, m_client.request(SOFTEFA_VFU_DMA_UNMAP, unmap).error());
    EXPECT_EQ(0, map(0x10000, 0x10000, fd).error());

    unmap.flags = SOFTEFA_VFU_UNMAP_ALL;
    EXPECT_EQ(0, m_client.request(SOFTEFA_VFU_DMA_UNMAP, unmap).error());
    EXPECT_EQ(0, map(0, 1 << 20, fd).error());
    close(fd);
}

TEST_F(protocol, many_regions)
{
    unsigned i;

    m_client.hello();
    for (i = 0; map(i * 8192ull, 4096, -1).error() == 0; ++i) {
        ASSERT_LT(i, 100000u);
    }
    EXPECT_EQ(1024u, i);
    EXPECT_EQ(ENOSPC, map(i * 8192ull, 4096, -1).error());
    expect_alive();
}

/* Descriptors that came and have no use do not stay open. */
TEST_F(protocol, descriptors)
{
    std::vector<int> fds(16, STDOUT_FILENO);
    softefa_vfu_dma_map_t nothing = {};
    unsigned before;

    m_client.hello();
    before = open_fds(m_server.pid());
    for (unsigned command = 0; command < 20; ++command) {
        if (command != SOFTEFA_VFU_RESET) {
            m_client.request(command, nothing, fds);
        }
    }
    expect_alive();
    EXPECT_EQ(before, open_fds(m_server.pid()));

    /* more than were agreed on */
    fds.resize(17, STDOUT_FILENO);
    m_client.request(SOFTEFA_VFU_GET_INFO, nothing, fds);
    EXPECT_TRUE(m_client.closed());
    pci::client next(m_server);
    next.hello();
    EXPECT_EQ(before, open_fds(m_server.pid()));
}

TEST_F(protocol, ends_within_a_message)
{
    softefa_vfu_header_t header = {1, SOFTEFA_VFU_VERSION, 100, 0, 0};

    {
        pci::server server;
        pci::client gone(server);
        gone.send_bytes(&header, sizeof(header));
    }
    {
        pci::server server;
        {
            pci::client gone(server);
            gone.send_bytes(&header, 7);
        }
        /* the end is seen in its turn, before this one */
        for (bool served = false; !served;) {
            pci::client next(server);
            uint16_t version[2] = {};
            served = next.request(SOFTEFA_VFU_VERSION, version).there;
        }
    }
}

TEST_F(protocol, signal_ends_it)
{
    struct stat ignored;
    std::string path = m_server.path();

    m_client.hello();
    EXPECT_EQ(0, m_server.stop());
    EXPECT_TRUE(m_client.closed());
    EXPECT_NE(0, stat(path.c_str(), &ignored));
    EXPECT_NE(0, stat(("/dev/shm/softefa." + std::to_string(geteuid()) + "." +
                       m_server.fabric())
                              .c_str(),
                      &ignored));
}

} // namespace
