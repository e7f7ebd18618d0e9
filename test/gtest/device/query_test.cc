/*
 * What a device says about itself, for every generation.
 *
 * The numbers are written down here once more, from the facts about the
 * hardware (docs/soft-efa.md), not taken from Soft-EFA's own tables.
 */
#include "verbs_test.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <set>

namespace device {

struct generation {
    const char *name;
    uint32_t    part_id;
    int         speed_gbps;
    int         width, speed; /* ibv_port_attr.active_width, active_speed */
    bool        channels;
    uint32_t    min_sq_wr;
};

/* Widths: 2 is 4X, 4 is 8X. Speeds: 32 is EDR, 64 is HDR. */
static const generation generations[] = {
    {"efa0", 0xefa0, 100, 2, 32, false, 0},
    {"efa1", 0xefa1, 100, 2, 32, true, 0},
    {"efa2", 0xefa2, 200, 2, 64, true, 0},
    {"efa3", 0xefa3, 400, 4, 64, true, 32},
    {"efa4", 0xefa4, 400, 4, 64, true, 32},
};

/* The generation this process runs on; the default is efa1. */
static const generation &current()
{
    const char *name = getenv("SOFTEFA_PROFILE");

    for (const generation &g : generations) {
        if (strcmp(g.name, name ? name : "efa1") == 0) {
            return g;
        }
    }
    throw std::runtime_error("no such generation");
}

class query : public ::testing::Test {
protected:
    query() : context(open_device()) {}

    handle<ibv_context> context;
};

TEST_F(query, device_attributes)
{
    ibv_device_attr attr = device_attr(context.get());

    EXPECT_EQ(0x1d0fu, attr.vendor_id);
    EXPECT_EQ(current().part_id, attr.vendor_part_id);
    EXPECT_EQ(256, attr.max_qp);
    EXPECT_EQ(512, attr.max_cq);
    EXPECT_EQ(32768, attr.max_cqe);
    EXPECT_EQ(1024, attr.max_ah);
    EXPECT_EQ(256, attr.max_pd);
    EXPECT_EQ(262144, attr.max_mr);
    EXPECT_EQ(103079215104ull, attr.max_mr_size);
    EXPECT_EQ(0xfffff000ull, attr.page_size_cap);
    EXPECT_EQ(4096, attr.max_qp_wr);
    EXPECT_EQ(2, attr.max_sge);
    EXPECT_EQ(1, attr.max_sge_rd);
    EXPECT_EQ(1, attr.phys_port_cnt);
    EXPECT_EQ(0, attr.max_srq);
    EXPECT_EQ(0, attr.max_mw);
    EXPECT_EQ(IBV_ATOMIC_NONE, attr.atomic_cap);
    if (played()) { /* Linux 6.1 tells none */
        EXPECT_NE(0u, attr.node_guid);
    }
    EXPECT_EQ(attr.node_guid, ibv_get_device_guid(context->device));
}

TEST_F(query, efa_attributes)
{
    efadv_device_attr attr = efa_attr(context.get());
    uint32_t caps          = EFADV_DEVICE_ATTR_CAPS_RDMA_READ |
                    EFADV_DEVICE_ATTR_CAPS_RNR_RETRY |
                    EFADV_DEVICE_ATTR_CAPS_CQ_WITH_SGID;

    EXPECT_EQ(4096u, attr.max_sq_wr);
    EXPECT_EQ(32768u, attr.max_rq_wr);
    EXPECT_EQ(2, attr.max_sq_sge);
    EXPECT_EQ(3, attr.max_rq_sge);
    EXPECT_EQ(32, attr.inline_buf_size);
    EXPECT_EQ(1u << 30, attr.max_rdma_size);
    EXPECT_EQ(caps, attr.device_caps & caps);
}

TEST_F(query, port)
{
    ibv_port_attr attr;

    ASSERT_EQ(0, ibv_query_port(context.get(), 1, &attr));
    EXPECT_EQ(IBV_PORT_ACTIVE, attr.state);
    EXPECT_EQ(5, attr.phys_state); /* link up */
    EXPECT_EQ(IBV_MTU_4096, attr.max_mtu);
    EXPECT_EQ(IBV_MTU_4096, attr.active_mtu);
    EXPECT_EQ(8928u, attr.max_msg_sz);
    EXPECT_EQ(1, attr.gid_tbl_len);
    EXPECT_EQ(1, attr.pkey_tbl_len);
    EXPECT_EQ(0, attr.lid);
    EXPECT_EQ(1, attr.lmc);
    EXPECT_EQ(1, attr.max_vl_num);
    EXPECT_EQ(IBV_LINK_LAYER_UNSPECIFIED, attr.link_layer);
    EXPECT_EQ(current().width, attr.active_width);
    EXPECT_EQ(current().speed, attr.active_speed);

    EXPECT_NE(0, ibv_query_port(context.get(), 0, &attr));
    EXPECT_NE(0, ibv_query_port(context.get(), 2, &attr));
}

TEST_F(query, gid_and_pkey)
{
    static const ibv_gid zero = {};
    ibv_gid_entry entry;
    ibv_gid gid;
    __be16 pkey = 0;

    ASSERT_EQ(0, ibv_query_gid(context.get(), 1, 0, &gid));
    EXPECT_NE(0, memcmp(&gid, &zero, sizeof(gid)));
    EXPECT_EQ(0xfe, gid.raw[0]);
    EXPECT_EQ(0x80, gid.raw[1]);
    EXPECT_NE(0, ibv_query_gid(context.get(), 1, 1, &gid));

    ASSERT_EQ(0, ibv_query_gid_ex(context.get(), 1, 0, &entry, 0));
    gid = gid_of(context.get());
    EXPECT_EQ(0, memcmp(&gid, &entry.gid, sizeof(gid)));

    ASSERT_EQ(0, ibv_query_pkey(context.get(), 1, 0, &pkey));
    EXPECT_EQ(0xffff, ntohs(pkey));
}

/* A GID table needs room for as many entries as the device has. */
TEST_F(query, gid_table)
{
    ibv_gid_entry entries[4] = {};
    ibv_gid gid              = gid_of(context.get());

    ASSERT_EQ(1, ibv_query_gid_table(context.get(), entries, 4, 0));
    EXPECT_EQ(0, memcmp(&gid, &entries[0].gid, sizeof(gid)));
    EXPECT_EQ(0u, entries[0].gid_index);
    EXPECT_EQ(1u, entries[0].port_num);
    EXPECT_EQ(-EINVAL, ibv_query_gid_table(context.get(), entries, 0, 0));
}

/* libefa refuses a channel by itself where the device cannot notify. */
TEST_F(query, completion_channels_by_generation)
{
    ibv_comp_channel *channel = ibv_create_comp_channel(context.get());
    ibv_cq *cq;

    ASSERT_NE(nullptr, channel);
    cq = ibv_create_cq(context.get(), 16, nullptr, channel, 0);
    EXPECT_EQ(current().channels, cq != nullptr);
    if (!current().channels) {
        EXPECT_EQ(1, context->num_comp_vectors);
    }
    if (cq != nullptr) {
        EXPECT_EQ(0, ibv_destroy_cq(cq));
    }
    EXPECT_EQ(0, ibv_destroy_comp_channel(channel));
}

/* Newer generations need a send queue that is longer than the asked. */
TEST_F(query, smallest_send_queue)
{
    config cfg;
    cfg.send_wr = 1;
    endpoint e(cfg);
    ibv_qp_attr attr;
    ibv_qp_init_attr init;

    ASSERT_EQ(0, ibv_query_qp(e.qp.get(), &attr, IBV_QP_CAP, &init));
    EXPECT_EQ(std::max(1u, current().min_sq_wr), init.cap.max_send_wr);
}

TEST_F(query, node_type_and_name)
{
    EXPECT_EQ(IBV_NODE_UNSPECIFIED, context->device->node_type);
    EXPECT_EQ(IBV_TRANSPORT_UNSPECIFIED, context->device->transport_type);
    EXPECT_EQ(0, strncmp(ibv_get_device_name(context->device), "efa_", 4));
}

/* Two devices are two NICs: nothing that names one names the other. */
TEST(devices, are_distinct)
{
    handle<ibv_context> one = open_device(0), two = open_device(1);
    ibv_gid gid_one = gid_of(one.get()), gid_two = gid_of(two.get());

    EXPECT_NE(0, memcmp(&gid_one, &gid_two, sizeof(gid_one)));
    if (played()) { /* Linux 6.1 tells none */
        EXPECT_NE(ibv_get_device_guid(one->device),
                  ibv_get_device_guid(two->device));
    }
    EXPECT_STRNE(ibv_get_device_name(one->device),
                 ibv_get_device_name(two->device));
}

DEVICE_ROLE(tell_gids)
{
    int count         = 0;
    ibv_device **list = ibv_get_device_list(&count);

    ibv_free_device_list(list);
    parent.put(count);
    for (int i = 0; i < count; ++i) {
        parent.put(gid_of(open_device(i).get()));
    }
    return 0;
}

/* The number of devices is the user's; another process sees the same ones, as
 * long as somebody has them open. */
TEST(devices, as_many_as_asked_for)
{
    handle<ibv_context> here[] = {open_device(0), open_device(1)};

    for (int devices : {1, 2, 5, 16}) {
        child c("tell_gids", {{"SOFTEFA_DEVICES", std::to_string(devices)}});
        std::set<std::string> gids;

        ASSERT_EQ(devices, c.to->get<int>());
        for (int i = 0; i < devices; ++i) {
            ibv_gid gid = c.to->get<ibv_gid>();
            gids.emplace((const char *)gid.raw, sizeof(gid.raw));
            if (i < 2) {
                ibv_gid ours = gid_of(here[i].get());
                EXPECT_EQ(0, memcmp(&gid, &ours, sizeof(gid)));
            }
        }
        EXPECT_EQ((size_t)devices, gids.size());
        EXPECT_EQ(0, c.join());
    }
}

} /* namespace device */
