/*
 * Many senders and one receiver that cannot keep up (scale.h).
 *
 *   scale incast N     N senders
 *
 * All are interfaces of this process, which lets each do one thing after the
 * other, in rounds: a sender sends what it may and makes progress, the receiver
 * makes progress. So neither time nor the scheduler has a say in it. The order of
 * the senders in a round is another one each time, as on a network.
 *
 * Prints "MOMENT ROUND SLOWEST MEDIAN", messages of the slowest sender and of the
 * median one that have arrived when the first one has finished, when half of them
 * have, and at the end. First of a few messages, in which they meet.
 *
 * Who meets a receiver with room sends a window's worth at once. So it takes many
 * messages until chance is even.
 */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES   1024u     /* of each sender                                 */
#define WARM_UP    4u        /* further ones before: they come to know each
                                other                                          */
#define POLLS      4u        /* progress calls of the receiver in a round      */
#define MAX_ROUNDS 10000000ul

typedef struct {
    uct_iface_h iface;
    uct_ep_h    ep;
    unsigned    sent, got;
} sender_t;

static sender_t *senders;
static unsigned num_senders;
static uint64_t random_state = 88172645463325252ull;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static ucs_status_t on_counted(void *arg, void *data, size_t length,
                               unsigned flags)
{
    uint64_t number;

    (void)arg, (void)length, (void)flags;
    memcpy(&number, data, sizeof(number));
    ++senders[number].got;
    return UCS_OK;
}

static void shuffle(unsigned *order)
{
    unsigned i, k, other;

    for (i = num_senders - 1; i > 0; --i) {
        k        = random_below(i + 1);
        other    = order[i];
        order[i] = order[k];
        order[k] = other;
    }
}

static void send_some(unsigned index, unsigned limit)
{
    sender_t *sender = &senders[index];
    ucs_status_t status;

    while (sender->sent < limit) {
        status = uct_ep_am_short(sender->ep, SCALE_AM_ID, index, NULL, 0);
        if (status == UCS_ERR_NO_RESOURCE) {
            break;
        }
        scale_check("am_short", status);
        ++sender->sent;
    }
    uct_iface_progress(sender->iface);
}

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static void show(const char *moment, unsigned long round, unsigned before)
{
    unsigned *sorted = scale_alloc(num_senders, sizeof(*sorted));
    unsigned i;

    for (i = 0; i < num_senders; ++i) {
        sorted[i] = senders[i].got - before;
    }
    qsort(sorted, num_senders, sizeof(*sorted), compare);
    printf("%s %lu %u %u\n", moment, round, sorted[0], sorted[num_senders / 2]);
    free(sorted);
}

/* Until what each has sent, ever, has arrived: `limit` */
static void run(unsigned limit, unsigned before)
{
    unsigned *order = scale_alloc(num_senders, sizeof(*order));
    unsigned done, was_done = 0, i;
    unsigned long round;

    for (i = 0; i < num_senders; ++i) {
        order[i] = i;
    }
    for (round = 0; was_done < num_senders; ++round) {
        if (round == MAX_ROUNDS) {
            scale_die("incast", "messages are lost");
        }
        shuffle(order);
        for (i = 0; i < num_senders; ++i) {
            send_some(order[i], limit);
        }
        for (i = 0; i < POLLS; ++i) {
            uct_iface_progress(scale_own);
        }
        for (i = 0, done = 0; i < num_senders; ++i) {
            done += (senders[i].got == limit);
        }
        if ((was_done == 0) && (done > 0)) {
            show("first", round, before);
        }
        if ((was_done < num_senders / 2) && (done >= num_senders / 2)) {
            show("median", round, before);
        }
        was_done = done;
    }
    show("last", round, before);
    free(order);
}

int scale_incast(unsigned num)
{
    scale_address_t address;
    unsigned i;

    scale_open();
    scale_own = scale_iface(&scale_domains[0]);
    scale_check("uct_iface_set_am_handler",
                uct_iface_set_am_handler(scale_own, SCALE_AM_ID, on_counted,
                                         NULL, 0));
    scale_get_address(scale_own, &address);
    scale_set_small();
    num_senders = num;
    senders     = scale_alloc(num, sizeof(*senders));
    for (i = 0; i < num; ++i) {
        senders[i].iface =
                scale_iface(&scale_domains[1 + i % (scale_num_domains - 1)]);
        senders[i].ep = scale_connect(senders[i].iface, &address);
    }
    run(WARM_UP, 0);
    run(WARM_UP + MESSAGES, WARM_UP);
    exit(0); /* without goodbyes: they are gone */
}
