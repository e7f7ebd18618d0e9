/*
 * More peers than the device has address handles, and messages to and from all
 * of them, in turn (scale.h).
 *
 *   scale walk N PER_PROCESS     N peers; those of one process have as many
 *                                addresses as there are devices
 *
 * Each round is one message with data to each and one from each, at the same
 * time; both sides check order and data. Prints "KIND COUNT", the interface's
 * counters, and fails if something is lost or no handle was given up.
 */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 4u
#define STRIDE 7919u         /* a prime: neighbours have other addresses       */

static void walk(unsigned round)
{
    unsigned num = scale_num_peers;
    uint8_t data[SCALE_DATA];
    uint64_t header;
    unsigned i, peer;

    for (i = 0; i < scale_num_processes; ++i) {
        scale_tell(&scale_processes[i], SCALE_SAY, 0, scale_processes[i].num);
    }
    for (i = 0; i < num; ++i) {
        peer   = (uint64_t)i * STRIDE % num;
        header = scale_say(peer, round, data);
        scale_send(peer, header, data, sizeof(data));
        uct_iface_progress(scale_own);
    }
    for (i = 0; i < scale_num_processes; ++i) {
        scale_await(&scale_processes[i], true);
    }
    scale_drain(true);
    while (scale_got < (uint64_t)(round + 1) * num) {
        uct_iface_progress(scale_own);
    }
    scale_expect_check(round + 1);
}

int scale_walk(const char *program, unsigned num, unsigned per_process)
{
    const efa_stats_device_t *device;
    const efa_stats_iface_t *own;
    stats_segment_t segment;
    unsigned i, addresses;

    if (num % STRIDE == 0) {
        scale_die("walk", "not a multiple of 7919 peers");
    }
    scale_start(program, num, per_process, true);
    scale_expect(0, num);
    for (i = 0; i < num; ++i) {
        scale_eps[i] = scale_connect(scale_own, &scale_addresses[i]);
    }
    for (i = 0; i < ROUNDS; ++i) {
        walk(i);
    }

    addresses = scale_num_processes * (scale_num_domains - 1);
    scale_segment(&segment);
    own    = &segment.ifaces[0];
    device = &segment.devices[0];
    printf("peers %u\naddresses %u\nlimit %lu\nmessages %u\n", num, addresses,
           (unsigned long)device->ah_max, ROUNDS * num);
#define SHOW(_name) printf(#_name " %lu\n", (unsigned long)own->_name)
    SHOW(ah_create);
    SHOW(ah_evict);
    printf("refused %lu\n", (unsigned long)device->refused);
    SHOW(no_resource);
    SHOW(hello);
    SHOW(hello_retry);
    SHOW(hello_ack);
    SHOW(tx_ext);
    SHOW(rx_ext);
    SHOW(out_of_order);
    SHOW(retransmit);
    SHOW(dup);
    SHOW(peers_failed);
#undef SHOW
    if ((own->tx_msgs != ROUNDS * num) || (own->rx_msgs != ROUNDS * num) ||
        (own->peers_failed > 0)) {
        scale_die("walk", "messages are lost");
    }
    if ((addresses > device->ah_max) && (own->ah_evict == 0)) {
        scale_die("walk", "no address handle was given up");
    }
    stats_free(&segment);
    scale_stop();
}
