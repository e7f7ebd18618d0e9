/* The function as Linux's efa driver uses it, but for the driver. */
#include "driver.h"

#include "common/harness.h"
#include "config/profile.h"

#include <infiniband/verbs.h>
#include <unistd.h>

namespace {

static const unsigned OK = SOFTEFA_ADMIN_OK;

static softefa_admin_cmd_t command(unsigned opcode)
{
    softefa_admin_cmd_t cmd = {};

    cmd.head.opcode = opcode;
    return cmd;
}

TEST(pci_registers, readless)
{
    pci::server server;
    pci::driver drv(server);

    drv.reset();
    EXPECT_EQ(0x0001u, drv.read_reg(SOFTEFA_REG_VERSION));
    EXPECT_EQ(0x0001u, drv.read_reg(SOFTEFA_REG_CONTROLLER_VERSION));
    EXPECT_EQ(48u, (drv.read_reg(SOFTEFA_REG_CAPS) >> 8) & 0xff);
    EXPECT_NE(0u, drv.read_reg(SOFTEFA_REG_CAPS) & 0x3e);
    EXPECT_EQ(0u, drv.read_reg(0xfffc)); /* none: no register */
}

/* Nothing that the driver writes wrong ends the process or is acted on. */
TEST(pci_registers, nonsense)
{
    pci::server server;
    pci::driver drv(server);

    drv.reset();
    for (unsigned reg = 0; reg < 0x80; reg += 4) {
        for (uint32_t value : {0u, 1u, 0x40u, 0xffffffffu, 0x400020u}) {
            if (reg != SOFTEFA_REG_DEV_CTL) {
                drv.write_bar(0, reg, value);
            }
        }
    }
    for (uint64_t db = 0; db < (64 << 20); db += 4 << 20) {
        drv.write_bar(4, db, 5);
        drv.write_bar(4, db + 8, 0xffffffff);
        drv.write_bar(4, db + 12, 1);
    }

    drv.probe();
    EXPECT_EQ(0u, drv.alloc_pd());
}

TEST(pci_admin, features)
{
    pci::server server;
    pci::driver drv(server);
    softefa_admin_cmd_t cmd = command(SOFTEFA_ADMIN_GET_FEATURE);
    softefa_admin_resp_t resp;

    drv.probe();
    cmd.feature.feature = SOFTEFA_FEATURE_DEVICE;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    EXPECT_EQ(0xfeu, resp.device.features);
    EXPECT_EQ(4u, resp.device.db_bar);
    EXPECT_EQ(0xfu, resp.device.caps); /* read, rnr, polling, write */

    cmd.feature.feature = SOFTEFA_FEATURE_QUEUES;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    EXPECT_EQ(256u, resp.queues.max_qp);
    EXPECT_EQ(1024u, resp.queues.max_ah);
    EXPECT_EQ(1u, resp.queues.sub_cqs);

    cmd.feature.feature = SOFTEFA_FEATURE_NETWORK;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    EXPECT_EQ(8928u, resp.network.mtu);
    EXPECT_EQ(0xfe, resp.network.gid[0]);

    cmd.feature.feature = SOFTEFA_FEATURE_EVENT_QUEUES;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    EXPECT_EQ(8u, resp.eq.max_eq);
    EXPECT_EQ(1024u, resp.eq.max_eq_depth);

    for (unsigned feature : {0, 8, 9, 63, 64, 255}) {
        cmd.feature.feature = feature;
        EXPECT_EQ((unsigned)SOFTEFA_ADMIN_UNSUPPORTED, drv.admin(cmd, &resp));
    }
}

class profiles : public ::testing::TestWithParam<const char*> {};

TEST_P(profiles, features)
{
    pci::server server({std::string("SOFTEFA_PROFILE=") + GetParam()});
    pci::driver drv(server);
    const softefa_profile_t *profile = nullptr;
    softefa_admin_cmd_t cmd          = command(SOFTEFA_ADMIN_GET_FEATURE);
    softefa_vfu_access_t id          = {2, SOFTEFA_VFU_REGION_CONFIG, 2};
    softefa_admin_resp_t resp;

    pci::reply reply = drv.vfu().request(SOFTEFA_VFU_REGION_READ, id);
    uint16_t device  = reply.payload[16] | (reply.payload[17] << 8);
    EXPECT_EQ(0xefa0 + (GetParam()[3] - '0'), device);

    drv.reset();
    drv.start_queues();
    cmd.feature.feature = SOFTEFA_FEATURE_DEVICE;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    bool events = (resp.device.features >> SOFTEFA_FEATURE_EVENT_QUEUES) & 1;
    bool wide   = (resp.device.features >> SOFTEFA_FEATURE_QUEUES_2) & 1;
    EXPECT_EQ(device != 0xefa0, events);
    EXPECT_EQ(device == 0xefa4, wide);
    EXPECT_EQ((device >= 0xefa3) ? 400 :
              (device == 0xefa2) ? 200 :
                                   100,
              resp.device.link_gbps);
    cmd.feature.feature = SOFTEFA_FEATURE_QUEUES;
    ASSERT_EQ(OK, drv.admin(cmd, &resp));
    EXPECT_EQ((device == 0xefa0) ? 2 : 1, resp.queues.sub_cqs);
    (void)profile;
}

INSTANTIATE_TEST_SUITE_P(all, profiles,
                         ::testing::Values("efa0", "efa1", "efa2", "efa3",
                                           "efa4"));

TEST(pci_admin, unknown_and_malformed)
{
    pci::server server;
    pci::driver drv(server);
    softefa_admin_cmd_t cmd;

    drv.probe();
    for (unsigned opcode : {0, 20, 21, 255}) {
        cmd = command(opcode);
        EXPECT_EQ((unsigned)SOFTEFA_ADMIN_UNSUPPORTED, drv.admin(cmd, nullptr));
    }

    /* of nothing, with all bits set */
    for (unsigned opcode = 1; opcode <= SOFTEFA_ADMIN_LAST; ++opcode) {
        if ((opcode == SOFTEFA_ADMIN_ALLOC_PD) ||
            (opcode == SOFTEFA_ADMIN_ALLOC_UAR)) {
            continue;
        }
        memset(&cmd, 0xff, sizeof(cmd));
        cmd.head.opcode = opcode;
        cmd.head.flags  = 0;
        EXPECT_NE(OK, drv.admin(cmd, nullptr)) << opcode;
    }
    EXPECT_EQ(OK, drv.number(SOFTEFA_ADMIN_DEALLOC_PD, drv.alloc_pd()));
}

/* Ids come back as they were given, entries in a ring of any round. */
TEST(pci_admin, many_rounds)
{
    pci::server server;
    pci::driver drv(server);

    drv.probe();
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(OK, drv.number(SOFTEFA_ADMIN_DEALLOC_PD, drv.alloc_pd()));
        EXPECT_TRUE(drv.interrupt(0));
    }
    drv.write_bar(0, SOFTEFA_REG_INTR_MASK, SOFTEFA_INTR_MASK_EN);
    EXPECT_EQ(OK, drv.number(SOFTEFA_ADMIN_DEALLOC_PD, drv.alloc_pd()));
    EXPECT_FALSE(drv.interrupt(0));
}

TEST(pci_admin, limits)
{
    pci::server server({"SOFTEFA_LIMITS=max_pd=3,max_cq=4,max_qp=2,max_ah=2"});
    pci::driver drv(server);
    softefa_admin_cmd_t cmd = command(SOFTEFA_ADMIN_ALLOC_PD);
    std::vector<uint8_t> gid;

    drv.probe();
    gid         = drv.gid();
    uint16_t pd = drv.alloc_pd();
    drv.alloc_pd();
    drv.alloc_pd();
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_NO_RESOURCE, drv.admin(cmd, nullptr));

    /* one destination, one AH: counted */
    EXPECT_EQ(drv.create_ah(pd, gid.data()), drv.create_ah(pd, gid.data()));
    gid[7] = 1;
    drv.create_ah(pd, gid.data());
    gid[7]           = 2;
    cmd              = command(SOFTEFA_ADMIN_CREATE_AH);
    cmd.create_ah.pd = pd;
    memcpy(cmd.create_ah.gid, gid.data(), 16);
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_NO_RESOURCE, drv.admin(cmd, nullptr));

    uint16_t uar = drv.alloc_uar();
    pci::cq a(drv, uar, 16), b(drv, uar, 16), c(drv, uar, 16), d(drv, uar, 16);
    pci::qp first(drv, pd, uar, a, b), second(drv, pd, uar, c, d);
    cmd                        = command(SOFTEFA_ADMIN_CREATE_QP);
    cmd.create_qp.pd           = pd;
    cmd.create_qp.type         = SOFTEFA_ADMIN_QP_SRD;
    cmd.create_qp.send_cq      = a.number;
    cmd.create_qp.recv_cq      = a.number;
    cmd.create_qp.uar          = uar;
    cmd.create_qp.sq_ring_size = 1024;
    cmd.create_qp.sq_depth     = 16;
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_NO_RESOURCE, drv.admin(cmd, nullptr));

    /* in use */
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_BUSY,
              drv.number(SOFTEFA_ADMIN_DESTROY_CQ, a.number));
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_BUSY,
              drv.number(SOFTEFA_ADMIN_DEALLOC_PD, pd));
    EXPECT_EQ(OK, first.destroy());
    EXPECT_NE(OK, first.destroy());
    EXPECT_EQ(OK, drv.number(SOFTEFA_ADMIN_DESTROY_CQ, a.number));
    EXPECT_NE(OK, drv.number(SOFTEFA_ADMIN_DESTROY_CQ, a.number));
}

TEST(pci_admin, fault_plan)
{
    pci::server server({"SOFTEFA_FAULTS=fail cmd=alloc_pd count=1"});
    pci::driver drv(server);
    softefa_admin_cmd_t cmd = command(SOFTEFA_ADMIN_ALLOC_PD);

    drv.probe();
    EXPECT_EQ((unsigned)SOFTEFA_ADMIN_NO_RESOURCE, drv.admin(cmd, nullptr));
    cmd = command(SOFTEFA_ADMIN_ALLOC_PD);
    EXPECT_EQ(OK, drv.admin(cmd, nullptr));
}

/* The driver of a kernel that was reset finds nothing of the last one. */
TEST(pci_life, reset)
{
    pci::server server({"SOFTEFA_LIMITS=max_pd=1,max_cq=1"});
    pci::driver drv(server);

    for (int i = 0; i < 3; ++i) {
        drv.probe();
        uint16_t uar = drv.alloc_uar();
        drv.alloc_pd();
        pci::cq cq(drv, uar, 16);
        if (i == 1) {
            EXPECT_EQ(0,
                      drv.vfu().request(SOFTEFA_VFU_RESET, nullptr, 0).error());
        }
    }
}

/* As device_del and device_add */
TEST(pci_life, client_after_client)
{
    pci::server server({"SOFTEFA_LIMITS=max_pd=1"});

    for (int i = 0; i < 3; ++i) {
        pci::driver drv(server);
        drv.probe();
        drv.alloc_pd();
    }
    EXPECT_EQ(0, server.stop());
}

TEST(pci_life, keep_alive)
{
    pci::server server;
    pci::driver drv(server);
    std::vector<unsigned> groups;

    drv.probe();
    drv.interrupt(0);
    drv.wait([&] {
        for (unsigned group : drv.async_groups()) {
            groups.push_back(group);
        }
        return groups.size() >= 2;
    });
    EXPECT_EQ((unsigned)SOFTEFA_AENQ_KEEP_ALIVE, groups[0]);
    EXPECT_TRUE(drv.interrupt(0));
}

/* A device that dies: the driver is told, commands fail, it comes back with a
 * reset. */
TEST(pci_life, fatal)
{
    pci::server server({"SOFTEFA_FAULTS=fatal dev=0 return=1ns"});
    pci::driver drv(server);
    std::vector<unsigned> groups;
    softefa_admin_cmd_t cmd = command(SOFTEFA_ADMIN_ALLOC_PD);

    drv.probe();
    uint16_t pd = drv.alloc_pd(), uar = drv.alloc_uar();
    uint16_t ah = drv.create_ah(pd, drv.gid().data());
    pci::cq cq(drv, uar, 16);
    pci::qp qp(drv, pd, uar, cq, cq);
    qp.to_rts(1);
    qp.send(1, ah, qp, pci::driver::BASE, 8, 0); /* the fetch kills it */
    drv.wait([&] {
        for (unsigned group : drv.async_groups()) {
            groups.push_back(group);
        }
        return !groups.empty() && (groups.back() == SOFTEFA_AENQ_FATAL);
    });
    EXPECT_TRUE(drv.read_reg(SOFTEFA_REG_DEV_STS) & SOFTEFA_DEV_STS_FATAL);
    EXPECT_NE(OK, drv.admin(cmd, nullptr));

    drv.probe();
    EXPECT_FALSE(drv.read_reg(SOFTEFA_REG_DEV_STS) & SOFTEFA_DEV_STS_FATAL);
    drv.alloc_pd();
}

} // namespace
