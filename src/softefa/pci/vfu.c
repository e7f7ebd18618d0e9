/* See vfu.h. */
#include "pci/vfu.h"
#include "base/log.h"
#include "base/util.h"
#include "pci/config_space.h"
#include "pci/irq.h"
#include "pci/queue.h"
#include "pci/regs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_MINOR = 1
};

/* The payload if it has all of a type, and says so where it has an argsz */
#define VFU_PAYLOAD(_client, _type)                                           \
    ((softefa_pci_conn_payload_size(&(_client)->conn) >= sizeof(_type)) ?     \
             (_type *)(void *)(_client)->conn.payload :                       \
             NULL)

/* Handlers: 0 or an errno; the size of the reply's payload, and a descriptor of
 * the function's that goes along. */
typedef struct {
    size_t size;
    int    fd;
} vfu_reply_t;

typedef int (*vfu_handler_t)(softefa_pci_client_t *client, softefa_pci_t *pci,
                             vfu_reply_t *reply);

static void *vfu_reply(softefa_pci_client_t *client, vfu_reply_t *reply,
                       const void *payload, size_t size)
{
    void *data = softefa_pci_conn_reply_data(&client->conn);

    memcpy(data, payload, size);
    reply->size = size;
    return data;
}

/* ---- the beginning ---- */

/* What this side can do is told only where the client knows the word. */
static const struct {
    const char *name;
    unsigned   value;
} capability_table[] = {
    {"max_msg_fds", SOFTEFA_PCI_MAX_FDS},
    {"max_data_xfer_size", SOFTEFA_PCI_MAX_DATA},
    {"max_dma_maps", SOFTEFA_PCI_MAX_REGIONS},
    {"pgsizes", 4096}
};

static size_t vfu_capabilities(const char *proposed, char *text, size_t size)
{
    const char *comma = "";
    char quoted[32];
    size_t length, i;

    length = snprintf(text, size, "{\"capabilities\":{");
    for (i = 0; i < SOFTEFA_ARRAY_SIZE(capability_table); ++i) {
        snprintf(quoted, sizeof(quoted), "\"%s\"", capability_table[i].name);
        if (strstr(proposed, quoted) != NULL) {
            length += snprintf(text + length, size - length, "%s%s:%u", comma,
                               quoted, capability_table[i].value);
            comma = ",";
        }
    }

    length += snprintf(text + length, size - length, "}}");
    return length + 1;
}

static int vfu_version(softefa_pci_client_t *client, softefa_pci_t *pci,
                       vfu_reply_t *reply)
{
    const softefa_vfu_version_t *version = VFU_PAYLOAD(client,
                                                       softefa_vfu_version_t);
    size_t size      = softefa_pci_conn_payload_size(&client->conn);
    const char *text = (const char *)client->conn.payload + sizeof(*version);
    softefa_vfu_version_t *answer;

    (void)pci;
    if ((version == NULL) || client->agreed) {
        return EINVAL;
    }

    if (size == sizeof(*version)) {
        text = "";
    } else if (client->conn.payload[size - 1] != '\0') {
        return EINVAL;
    }

    if (version->major != 0) {
        softefa_error("the client wants version %u.%u of vfio-user, this side "
                      "has 0.%u",
                      version->major, version->minor, MAX_MINOR);
        return EOPNOTSUPP;
    }

    answer = vfu_reply(client, reply, version, sizeof(*version));
    if (answer->minor > MAX_MINOR) {
        answer->minor = MAX_MINOR;
    }
    reply->size += vfu_capabilities(text, (char *)(answer + 1), 256);
    client->agreed = true;
    return 0;
}

static int vfu_info(softefa_pci_client_t *client, softefa_pci_t *pci,
                    vfu_reply_t *reply)
{
    const softefa_vfu_info_t info = {
        .argsz       = sizeof(info),
        .flags       = SOFTEFA_VFU_INFO_RESET | SOFTEFA_VFU_INFO_PCI,
        .num_regions = SOFTEFA_VFU_NUM_REGIONS,
        .num_irqs    = SOFTEFA_VFU_NUM_IRQS
    };

    (void)pci;
    if (VFU_PAYLOAD(client, softefa_vfu_info_t) == NULL) {
        return EINVAL;
    }

    vfu_reply(client, reply, &info, sizeof(info));
    return 0;
}

/* ---- memory ---- */

static int vfu_dma_map(softefa_pci_client_t *client, softefa_pci_t *pci,
                       vfu_reply_t *reply)
{
    const softefa_vfu_dma_map_t *map = VFU_PAYLOAD(client,
                                                   softefa_vfu_dma_map_t);

    (void)reply;
    if ((map == NULL) || (client->conn.num_fds > 1)) {
        return EINVAL;
    }

    return softefa_pci_dma_map(&pci->dma, map->address, map->size,
                               softefa_pci_conn_take_fd(&client->conn),
                               map->offset,
                               !!(map->flags & SOFTEFA_VFU_DMA_WRITE));
}

static int vfu_dma_unmap(softefa_pci_client_t *client, softefa_pci_t *pci,
                         vfu_reply_t *reply)
{
    const softefa_vfu_dma_unmap_t *unmap = VFU_PAYLOAD(client,
                                                       softefa_vfu_dma_unmap_t);
    int ret                              = 0;

    if (unmap == NULL) {
        return EINVAL;
    }

    if (unmap->flags & SOFTEFA_VFU_UNMAP_ALL) {
        softefa_pci_unmap_all(pci);
    } else {
        ret = softefa_pci_unmap(pci, unmap->address, unmap->size);
    }

    vfu_reply(client, reply, unmap, sizeof(*unmap));
    return ret;
}

/* ---- regions ---- */

static uint64_t vfu_region_size(const softefa_pci_t *pci, uint32_t index)
{
    switch (index) {
    case SOFTEFA_PCI_BAR_REGS:
        return SOFTEFA_PCI_REGS_SIZE;
    case SOFTEFA_PCI_BAR_LLQ:
        return pci->llq_size;
    case SOFTEFA_PCI_BAR_DB:
        return pci->db_size;
    case SOFTEFA_VFU_REGION_CONFIG:
        return SOFTEFA_PCI_CONFIG_SIZE;
    default:
        return 0;
    }
}

static int vfu_region_info(softefa_pci_client_t *client, softefa_pci_t *pci,
                           vfu_reply_t *reply)
{
    const softefa_vfu_region_info_t
            *asked = VFU_PAYLOAD(client, softefa_vfu_region_info_t);
    softefa_vfu_region_info_t info = {.argsz = sizeof(info)};

    if ((asked == NULL) || (asked->index >= SOFTEFA_VFU_NUM_REGIONS) ||
        (asked->argsz < sizeof(info))) {
        return EINVAL;
    }

    info.index = asked->index;
    info.size  = vfu_region_size(pci, asked->index);
    if (info.size > 0) {
        info.flags = SOFTEFA_VFU_FLAG_READ | SOFTEFA_VFU_FLAG_WRITE;
    }
    if (asked->index == SOFTEFA_PCI_BAR_LLQ) {
        info.flags |= SOFTEFA_VFU_FLAG_MMAP;
        reply->fd = pci->llq_fd;
    }
    vfu_reply(client, reply, &info, sizeof(info));
    return 0;
}

/* NULL: not an access within a region */
static const softefa_vfu_access_t *vfu_access(softefa_pci_client_t *client,
                                              const softefa_pci_t *pci)
{
    const softefa_vfu_access_t *access = VFU_PAYLOAD(client,
                                                     softefa_vfu_access_t);
    uint64_t size;

    if ((access == NULL) || (access->count == 0) ||
        (access->count > SOFTEFA_PCI_MAX_DATA)) {
        return NULL;
    }

    size = vfu_region_size(pci, access->region);
    return ((access->count <= size) &&
            (access->offset <= size - access->count)) ?
                   access :
                   NULL;
}

static int vfu_region_read(softefa_pci_client_t *client, softefa_pci_t *pci,
                           vfu_reply_t *reply)
{
    const softefa_vfu_access_t *access = vfu_access(client, pci);
    uint64_t value                     = UINT64_MAX;
    uint8_t *data;

    if (access == NULL) {
        return EINVAL;
    }

    data = vfu_reply(client, reply, access, sizeof(*access));
    data += sizeof(*access);
    reply->size += access->count;
    if (pci->gone) {
        memset(data, 0xff, access->count);
        return 0;
    }

    switch (access->region) {
    case SOFTEFA_VFU_REGION_CONFIG:
        memcpy(data, pci->config + access->offset, access->count);
        return 0;
    case SOFTEFA_PCI_BAR_LLQ:
        memcpy(data, pci->llq + access->offset, access->count);
        return 0;
    case SOFTEFA_PCI_BAR_REGS:
        value = softefa_pci_regs_read(pci, access->offset, access->count);
        break;
    default:
        break; /* doorbells read ones */
    }

    memset(data, 0xff, access->count);
    memcpy(data, &value,
           (access->count < sizeof(value)) ? access->count : sizeof(value));
    return 0;
}

static int vfu_region_write(softefa_pci_client_t *client, softefa_pci_t *pci,
                            vfu_reply_t *reply)
{
    const softefa_vfu_access_t *access = vfu_access(client, pci);
    const uint8_t *data;
    uint32_t value = 0;

    if ((access == NULL) || (softefa_pci_conn_payload_size(&client->conn) <
                             sizeof(*access) + access->count)) {
        return EINVAL;
    }

    if (pci->gone) {
        vfu_reply(client, reply, access, sizeof(*access));
        return 0;
    }

    data = (const uint8_t *)(access + 1);
    memcpy(&value, data,
           (access->count < sizeof(value)) ? access->count : sizeof(value));
    switch (access->region) {
    case SOFTEFA_VFU_REGION_CONFIG:
        softefa_pci_config_write(pci, access->offset, data, access->count);
        break;
    case SOFTEFA_PCI_BAR_LLQ:
        memcpy(pci->llq + access->offset, data, access->count);
        break;
    case SOFTEFA_PCI_BAR_REGS:
        if (softefa_pci_regs_write(pci, access->offset, access->count, value)) {
            softefa_pci_reset_by_driver(pci);
        }
        break;
    default:
        if ((access->count == sizeof(value)) && (pci->dev != NULL)) {
            softefa_pci_queue_doorbell(pci, access->offset, value);
        }
        break;
    }

    vfu_reply(client, reply, access, sizeof(*access));
    return 0;
}

/* ---- interrupts ---- */

static uint32_t vfu_irq_count(const softefa_pci_t *pci, uint32_t index)
{
    return (index == SOFTEFA_VFU_IRQ_MSIX) ? pci->num_vectors : 0;
}

static int vfu_irq_info(softefa_pci_client_t *client, softefa_pci_t *pci,
                        vfu_reply_t *reply)
{
    const softefa_vfu_irq_info_t *asked = VFU_PAYLOAD(client,
                                                      softefa_vfu_irq_info_t);
    softefa_vfu_irq_info_t info         = {.argsz = sizeof(info)};

    if ((asked == NULL) || (asked->index >= SOFTEFA_VFU_NUM_IRQS)) {
        return EINVAL;
    }

    info.index = asked->index;
    info.count = vfu_irq_count(pci, asked->index);
    info.flags = (info.count > 0) ? SOFTEFA_VFU_IRQ_EVENTFD : 0;
    vfu_reply(client, reply, &info, sizeof(info));
    return 0;
}

/* Vectors get the descriptors that came along, or none. */
static int vfu_set_eventfds(softefa_pci_client_t *client, softefa_pci_t *pci,
                            const softefa_vfu_set_irqs_t *set)
{
    unsigned given = client->conn.num_fds;
    uint32_t i;

    if (!(set->flags & SOFTEFA_VFU_SET_TRIGGER)) {
        return EOPNOTSUPP; /* the client masks by itself */
    }

    if ((given != 0) && (given != set->count)) {
        return EINVAL;
    }

    for (i = 0; i < set->count; ++i) {
        softefa_pci_irq_set(pci, set->start + i,
                            softefa_pci_conn_take_fd(&client->conn));
    }
    return 0;
}

/* The client raises interrupts itself. */
static int vfu_trigger(softefa_pci_client_t *client, softefa_pci_t *pci,
                       const softefa_vfu_set_irqs_t *set)
{
    const uint8_t *which = (const uint8_t *)(set + 1);
    bool all             = !!(set->flags & SOFTEFA_VFU_SET_NONE);
    uint32_t i;

    if (!(set->flags & SOFTEFA_VFU_SET_TRIGGER)) {
        return EOPNOTSUPP;
    }

    if (!all && (softefa_pci_conn_payload_size(&client->conn) <
                 sizeof(*set) + set->count)) {
        return EINVAL;
    }

    for (i = 0; i < set->count; ++i) {
        if (all || which[i]) {
            softefa_pci_irq_raise(pci, set->start + i);
        }
    }
    return 0;
}

static int vfu_set_irqs(softefa_pci_client_t *client, softefa_pci_t *pci,
                        vfu_reply_t *reply)
{
    const softefa_vfu_set_irqs_t *set = VFU_PAYLOAD(client,
                                                    softefa_vfu_set_irqs_t);
    uint32_t count;

    (void)reply;
    if ((set == NULL) || (set->index >= SOFTEFA_VFU_NUM_IRQS)) {
        return EINVAL;
    }

    count = vfu_irq_count(pci, set->index);
    if ((set->start > count) || (set->count > count - set->start)) {
        return EINVAL;
    }

    switch (set->flags & (SOFTEFA_VFU_SET_NONE | SOFTEFA_VFU_SET_BOOL |
                          SOFTEFA_VFU_SET_EVENTFD)) {
    case SOFTEFA_VFU_SET_NONE:
        if ((set->count == 0) && (set->start == 0)) {
            if (set->index == SOFTEFA_VFU_IRQ_MSIX) {
                softefa_pci_irq_clear(pci);
            }
            return 0;
        }
        return vfu_trigger(client, pci, set);
    case SOFTEFA_VFU_SET_BOOL:
        return vfu_trigger(client, pci, set);
    case SOFTEFA_VFU_SET_EVENTFD:
        return vfu_set_eventfds(client, pci, set);
    default:
        return EINVAL;
    }
}

/* ---- the rest ---- */

static int vfu_reset(softefa_pci_client_t *client, softefa_pci_t *pci,
                     vfu_reply_t *reply)
{
    (void)client;
    (void)reply;
    softefa_pci_reset(pci);
    softefa_pci_config_init(pci);
    return 0;
}

static const vfu_handler_t handler_table[] = {
    [SOFTEFA_VFU_VERSION]         = vfu_version,
    [SOFTEFA_VFU_DMA_MAP]         = vfu_dma_map,
    [SOFTEFA_VFU_DMA_UNMAP]       = vfu_dma_unmap,
    [SOFTEFA_VFU_GET_INFO]        = vfu_info,
    [SOFTEFA_VFU_GET_REGION_INFO] = vfu_region_info,
    [SOFTEFA_VFU_GET_IRQ_INFO]    = vfu_irq_info,
    [SOFTEFA_VFU_SET_IRQS]        = vfu_set_irqs,
    [SOFTEFA_VFU_REGION_READ]     = vfu_region_read,
    [SOFTEFA_VFU_REGION_WRITE]    = vfu_region_write,
    [SOFTEFA_VFU_RESET]           = vfu_reset
};

void softefa_pci_vfu_message(softefa_pci_client_t *client, softefa_pci_t *pci)
{
    unsigned command  = client->conn.header.command;
    vfu_reply_t reply = {.fd = -1};
    int error;

    if ((command >= SOFTEFA_ARRAY_SIZE(handler_table)) ||
        (handler_table[command] == NULL)) {
        error = EOPNOTSUPP;
    } else if (!client->agreed && (command != SOFTEFA_VFU_VERSION)) {
        error = EINVAL;
    } else {
        error = handler_table[command](client, pci, &reply);
    }

    softefa_pci_conn_reply(&client->conn, error, reply.size, reply.fd);
}
