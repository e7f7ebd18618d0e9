/*
 * What the parts of srdtool doctor echo share: the conversation (echo.c), TCP
 * (echo_tcp.c), the messages by SRD and the verdict on a direction
 * (echo_srd.c).
 */
#ifndef ECHO_H
#define ECHO_H

#include "tools/report/report.h"
#include "tools/verbs/verbs_ep.h"

#include <assert.h>

enum {
    ECHO_MESSAGES = 8,
    ECHO_LENGTH   = 4096,            /* bytes of each */
    ECHO_RECV     = VERBS_EP_BUFFER / 2
};

#define ECHO_MAGIC "SRDECHO1"

static_assert(ECHO_MESSAGES * ECHO_LENGTH <= VERBS_EP_BUFFER / 2,
              "half of the buffer to send from, half to receive in");
static_assert((int)ECHO_MESSAGES <= (int)VERBS_EP_DEPTH, "one queue full");

typedef enum {
    ECHO_HELLO, ECHO_READY, ECHO_SENT, ECHO_RECEIVED
} echo_type_t;

/* All numbers in network order */
typedef struct {
    char     magic[8];
    uint32_t type;
    uint32_t qpn, qkey;              /* HELLO */
    uint32_t error;                  /* READY: errno of the address handle */
    uint32_t count;                  /* SENT: delivered; RECEIVED: intact */
    uint32_t status;                 /* SENT: of the first that was not */
    uint32_t late;                   /* SENT: no completion in time */
    uint32_t wrong;                  /* RECEIVED: with other content */
    uint8_t  gid[16];                /* HELLO */
} echo_message_t;

static_assert(sizeof(echo_message_t) == 56, "no holes");

typedef struct {
    report_t      report;
    verbs_dl_t    dl;
    verbs_ep_t    ep;
    struct ibv_ah *ah;
    const char    *device, *port, *host, *address;
    bool          server, once;
    int           timeout_ms;
    int           fd;                /* TCP */
    uint32_t      remote_qpn;
    unsigned      received, wrong;
} echo_t;

/* Of every wait in echo->fd from now on. */
void echo_tcp_timeout(int fd, int timeout_ms);

/* Both end the conversation with a line in the report if they return -1. `when`
 * is for that line: "while messages went there". */
int echo_tcp_put(echo_t *echo, echo_message_t *message, echo_type_t type,
                 const char *when);
int echo_tcp_get(echo_t *echo, echo_message_t *message, echo_type_t type,
                 const char *when);

/* Client: sets echo->fd. Server: returns the listening socket. -1: said why. */
int echo_tcp_connect(echo_t *echo);
int echo_tcp_listen(echo_t *echo);

/* Sends all messages and waits for what becomes of each; *result is a SENT.
 * Returns 0, or an errno: the device takes none. */
int echo_srd_send(echo_t *echo, echo_message_t *result, uint64_t *ns);

/* Until so many have come, intact or not, or the deadline. */
void echo_srd_receive(echo_t *echo, unsigned count);

/* One direction. out: from here to the other side, in so many ns. */
void echo_srd_verdict(echo_t *echo, bool out, const echo_message_t *sent,
                      const echo_message_t *received, uint64_t ns);

#endif
