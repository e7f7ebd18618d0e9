/*
 * A connection to a vfio-user client: bytes and descriptors become messages,
 * one at a time. Never blocks: what has not come is waited for in the caller's
 * poll(), and no message is read before the reply to the last one is sent.
 *
 *   HEADER --16 bytes--> PAYLOAD --all of it--> READY --reply or none--> HEADER
 *                                                 '--the socket is full-> REPLY
 *
 * A client whose stream cannot be followed any more is dropped: a size that is
 * no message's, a reply to nothing, more descriptors than were agreed on.
 */
#ifndef SOFTEFA_PCI_CONN_H
#define SOFTEFA_PCI_CONN_H

#include "abi/vfio_user.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SOFTEFA_PCI_MAX_FDS     = 16,    /* of a message */
    SOFTEFA_PCI_MAX_DATA    = 65536, /* of an access to a region */
    SOFTEFA_PCI_MAX_PAYLOAD = SOFTEFA_PCI_MAX_DATA + 64
};

typedef struct {
    int                  fd;         /* -1: none */
    bool                 ready;
    softefa_vfu_header_t header;
    size_t               received;   /* with the header */
    int                  fds[SOFTEFA_PCI_MAX_FDS];
    unsigned             num_fds;
    size_t               reply_size, reply_sent;
    int                  reply_fd;   /* not owned; -1: none */
    uint8_t              payload[SOFTEFA_PCI_MAX_PAYLOAD]
            __attribute__((aligned(8)));
    uint8_t              reply[sizeof(softefa_vfu_header_t) +
                  SOFTEFA_PCI_MAX_PAYLOAD] __attribute__((aligned(8)));
} softefa_pci_conn_t;

void softefa_pci_conn_init(softefa_pci_conn_t *conn);

/* Takes fd over. */
void softefa_pci_conn_open(softefa_pci_conn_t *conn, int fd);
void softefa_pci_conn_close(softefa_pci_conn_t *conn);

/* What poll() is to wait for */
short softefa_pci_conn_events(const softefa_pci_conn_t *conn);

/* Reads and writes what can be at once. 0; EAGAIN: no message is complete.
 * ECONNRESET: the client is gone; EPROTO: is to be dropped, logged. */
int softefa_pci_conn_receive(softefa_pci_conn_t *conn);

/* Ends the message that receive() returned. The reply has `size` bytes, in
 * conn->reply behind the header, or an errno, `error`, instead. fd goes along
 * (-1: none). Descriptors that came and are left are closed. */
void softefa_pci_conn_reply(softefa_pci_conn_t *conn, int error, size_t size,
                            int fd);

static inline void *softefa_pci_conn_reply_data(softefa_pci_conn_t *conn)
{
    return conn->reply + sizeof(softefa_vfu_header_t);
}

static inline size_t
softefa_pci_conn_payload_size(const softefa_pci_conn_t *conn)
{
    return conn->header.size - sizeof(conn->header);
}

/* Takes the first descriptor out; -1: there is none. */
int softefa_pci_conn_take_fd(softefa_pci_conn_t *conn);

#endif
