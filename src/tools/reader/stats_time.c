/*
 * Times of a stats segment: how long ago, when by the clock on the wall, which
 * is the newest.
 */
#include "tools/reader/stats_reader.h"

uint64_t stats_time_age(const stats_segment_t *segment, uint64_t time)
{
    return (time == 0 || time > segment->now) ? 0 : segment->now - time;
}

uint64_t stats_time_wall(const stats_segment_t *segment, uint64_t time)
{
    if (time == 0 || segment->header.open_time == 0) {
        return 0;
    }
    /* modulo 2^64, also for what happened before the file was made */
    return segment->header.create_time + (time - segment->header.open_time);
}

static void newest(uint64_t *max, uint64_t time)
{
    if (time > *max) {
        *max = time;
    }
}

uint64_t stats_time_event_last(const efa_stats_event_entry_t *event)
{
    return event->time + (uint64_t)event->last * 1000000;
}

uint64_t stats_time_newest(const stats_segment_t *segment)
{
    uint64_t max = segment->header.open_time;
    unsigned i;

    for (i = 0; i < segment->num_ifaces; ++i) {
        newest(&max, segment->ifaces[i].create_time);
        newest(&max, segment->ifaces[i].state_time);
        newest(&max, segment->ifaces[i].progress_time);
    }
    for (i = 0; i < segment->num_peers; ++i) {
        newest(&max, segment->peers[i].state_time);
        newest(&max, segment->peers[i].done_time);
        newest(&max, segment->peers[i].rx_time);
        newest(&max, segment->peers[i].gap_time);
        newest(&max, segment->peers[i].wait_time);
    }
    for (i = 0; i < segment->num_eps; ++i) {
        newest(&max, segment->eps[i].create_time);
        newest(&max, segment->eps[i].wait_time);
    }
    for (i = 0; i < segment->num_objects; ++i) {
        newest(&max, segment->objects[i].create_time);
    }
    for (i = 0; i < segment->num_events; ++i) {
        newest(&max, stats_time_event_last(&segment->events[i]));
    }
    return max;
}
