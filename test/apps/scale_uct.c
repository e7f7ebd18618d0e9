/*
 * UCT, as far as both sides need it (scale.h).
 */
#include "scale.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

scale_domain_t scale_domains[SCALE_DOMAINS];
unsigned scale_num_domains;
uint64_t scale_got;

static uct_worker_h worker;

void scale_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

void scale_check(const char *what, ucs_status_t status)
{
    if (UCS_STATUS_IS_ERR(status)) {
        scale_die(what, ucs_status_string(status));
    }
}

void *scale_alloc(size_t num, size_t size)
{
    void *memory = calloc(num, size);

    if (memory == NULL) {
        scale_die("calloc", "no memory");
    }
    return memory;
}

static void open_md(uct_component_h component, const char *name)
{
    uct_tl_resource_desc_t *tls;
    scale_domain_t *domain;
    uct_md_config_t *config;
    unsigned num, i;
    uct_md_h md;

    scale_check("uct_md_config_read",
                uct_md_config_read(component, NULL, NULL, &config));
    scale_check("uct_md_open", uct_md_open(component, name, config, &md));
    uct_config_release(config);
    scale_check("uct_md_query_tl_resources",
                uct_md_query_tl_resources(md, &tls, &num));
    for (i = 0; (i < num) && (strcmp(tls[i].tl_name, "srd") != 0); ++i) {
    }
    if ((i < num) && (scale_num_domains < SCALE_DOMAINS)) {
        domain            = &scale_domains[scale_num_domains++];
        domain->component = component;
        domain->md        = md;
        snprintf(domain->device, sizeof(domain->device), "%s", tls[i].dev_name);
    } else {
        uct_md_close(md);
    }
    uct_release_tl_resource_list(tls);
}

void scale_open(void)
{
    uct_md_resource_desc_t mds[SCALE_DOMAINS];
    ucs_async_context_t *async;
    uct_component_attr_t attr;
    uct_component_h *list;
    unsigned num, i, k;

    scale_check("ucs_async_context_create",
                ucs_async_context_create(UCS_ASYNC_MODE_THREAD_SPINLOCK,
                                         &async));
    scale_check("uct_worker_create",
                uct_worker_create(async, UCS_THREAD_MODE_SINGLE, &worker));
    scale_check("uct_query_components", uct_query_components(&list, &num));
    for (i = 0; i < num; ++i) {
        attr.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME |
                          UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
        scale_check("uct_component_query", uct_component_query(list[i], &attr));
        /* ours, or UCX's own */
        if (((strcmp(attr.name, "efasrd") != 0) &&
             (strcmp(attr.name, "ib") != 0)) ||
            (attr.md_resource_count > SCALE_DOMAINS)) {
            continue;
        }
        attr.field_mask   = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCES;
        attr.md_resources = mds;
        scale_check("uct_component_query", uct_component_query(list[i], &attr));
        for (k = 0; k < attr.md_resource_count; ++k) {
            open_md(list[i], mds[k].md_name);
        }
    }
    uct_release_component_list(list);
    if (scale_num_domains < 2) {
        scale_die("two devices are needed", "SOFTEFA_DEVICES");
    }
}

/* --------------------------------------------------------------- messages */

static uint32_t *expected, expect_first, expect_num;

uint64_t scale_say(uint32_t peer, uint32_t number, uint8_t data[SCALE_DATA])
{
    uint64_t header = ((uint64_t)peer << 32) | number;
    unsigned i;

    for (i = 0; i < SCALE_DATA; ++i) {
        data[i] = (header >> (8 * (i % 8))) + i * 31;
    }
    return header;
}

void scale_expect(uint32_t first, uint32_t num)
{
    expected     = scale_alloc(num, sizeof(*expected));
    expect_first = first;
    expect_num   = num;
}

void scale_expect_check(uint32_t each)
{
    uint32_t i;

    for (i = 0; i < expect_num; ++i) {
        if (expected[i] != each) {
            fprintf(stderr, "scale: %u messages of peer %u, not %u\n",
                    expected[i], expect_first + i, each);
            exit(1);
        }
    }
}

static void take_data(const void *message)
{
    uint8_t data[SCALE_DATA];
    uint64_t header;
    uint32_t peer;

    memcpy(&header, message, sizeof(header));
    peer = (header >> 32) - expect_first;
    if (peer >= expect_num) {
        scale_die("a message", "of a peer that is not here");
    }
    if (expected[peer]++ != (uint32_t)header) {
        scale_die("a message", "not the next one of its peer");
    }
    scale_say(expect_first + peer, header, data);
    if (memcmp(data, (const char *)message + sizeof(header), sizeof(data)) !=
        0) {
        scale_die("a message", "its data differ");
    }
}

static ucs_status_t on_message(void *arg, void *data, size_t length,
                               unsigned flags)
{
    (void)arg, (void)flags;
    if (length == sizeof(uint64_t) + SCALE_DATA) {
        take_data(data);
    }
    ++scale_got;
    return UCS_OK;
}

uct_iface_h scale_iface(const scale_domain_t *domain)
{
    uct_iface_config_t *config;
    uct_iface_params_t params;
    uct_iface_h iface;

    scale_check("uct_md_iface_config_read",
                uct_md_iface_config_read(domain->md, "srd", NULL, NULL,
                                         &config));
    params.field_mask = UCT_IFACE_PARAM_FIELD_OPEN_MODE |
                        UCT_IFACE_PARAM_FIELD_DEVICE;
    params.open_mode            = UCT_IFACE_OPEN_MODE_DEVICE;
    params.mode.device.tl_name  = "srd";
    params.mode.device.dev_name = domain->device;
    scale_check("uct_iface_open",
                uct_iface_open(domain->md, worker, &params, config, &iface));
    uct_config_release(config);
    uct_iface_progress_enable(iface, UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
    scale_check("uct_iface_set_am_handler",
                uct_iface_set_am_handler(iface, SCALE_AM_ID, on_message, NULL,
                                         0));
    return iface;
}

void scale_set_small(void)
{
    setenv("UCX_SRD_TX_QUEUE_LEN", "16", 1);
    setenv("UCX_SRD_RX_QUEUE_LEN", "16", 1);
    setenv("UCX_SRD_EVENTS", "n", 1);
}

void scale_get_address(uct_iface_h iface, scale_address_t *address)
{
    uct_iface_attr_t attr;

    scale_check("uct_iface_query", uct_iface_query(iface, &attr));
    if ((attr.device_addr_len > SCALE_ADDRESS) ||
        (attr.iface_addr_len > SCALE_ADDRESS)) {
        scale_die("an address", "too long");
    }
    memset(address, 0, sizeof(*address));
    scale_check("uct_iface_get_device_address",
                uct_iface_get_device_address(iface, (void *)address->dev));
    scale_check("uct_iface_get_address",
                uct_iface_get_address(iface, (void *)address->iface));
}

uct_ep_h scale_connect(uct_iface_h from, const scale_address_t *to)
{
    uct_ep_params_t params;
    uct_ep_h ep;

    params.field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                        UCT_EP_PARAM_FIELD_IFACE_ADDR;
    params.iface      = from;
    params.dev_addr   = (const void *)to->dev;
    params.iface_addr = (const void *)to->iface;
    scale_check("uct_ep_create", uct_ep_create(&params, &ep));
    return ep;
}

void scale_put(int fd, const void *data, size_t length)
{
    const char *at = data;
    ssize_t done;

    for (; length > 0; length -= done, at += done) {
        done = write(fd, at, length);
        if (done <= 0) {
            scale_die("write", "the other process has ended");
        }
    }
}

bool scale_get(int fd, void *data, size_t length)
{
    char *at = data;
    ssize_t done;

    for (; length > 0; length -= done, at += done) {
        done = read(fd, at, length);
        if (done <= 0) {
            return false;
        }
    }
    return true;
}
