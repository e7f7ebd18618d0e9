/*
 * What the counters of a peer say together.
 */
#include "tools/reader/stats_reader.h"

uint64_t stats_peer_unacked(const efa_stats_peer_t *peer)
{
    return (peer->tx_msgs > peer->tx_done) ? peer->tx_msgs - peer->tx_done : 0;
}

uint16_t stats_peer_psn_next(const efa_stats_peer_t *peer)
{
    return (uint16_t)peer->tx_msgs;
}

uint16_t stats_peer_psn_una(const efa_stats_peer_t *peer)
{
    return (uint16_t)peer->tx_done;
}

uint16_t stats_peer_psn_rx(const efa_stats_peer_t *peer)
{
    return (uint16_t)(peer->rx_first + peer->rx_msgs);
}
