#!/usr/bin/env bash
# perftest between two processes over Soft-EFA: latency and bandwidth of SRD
# and UD, RDMA read, several QPs, two devices. Both sides must end well, and
# the report must have a line of plausible numbers for each size asked for.
# PERFTEST_ZERO=y: zero is one, where perftest cannot measure its processor's clock.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need ib_send_lat perftest
need ib_send_bw perftest
need ib_read_bw perftest
need ib_read_lat perftest

# lines FILE ITERATIONS: the sizes that the report has results for. Latency and
# bandwidth reports have the size first, the iterations second.
sizes_reported()
{
    awk -v n="$2" -v zero="${PERFTEST_ZERO:-n}" '
        $1 ~ /^[0-9]+$/ && $2 == n && ($4 > 0 || (zero == "y" && $4 == 0)) {
        printf "%s%s", separator, $1; separator = " "
    }' "$1"
}

# pair NAME "SIZES" ITERATIONS SERVER_OPTIONS CLIENT_OPTIONS PROGRAM ARGS...
pair()
{
    local name=$1 sizes=$2 count=$3 server_options=$4 client_options=$5
    local got
    shift 5

    # shellcheck disable=SC2086 # the options are words
    pair_run "$TMPDIR" "$EFARUN" --soft --quiet --devices 2 "$@" -F -x 0 \
        -n "$count" -p @PORT@ -- $server_options -- $client_options 127.0.0.1
    got=$(sizes_reported "$TMPDIR/client" "$count")
    if [ -n "$pair_why" ]; then
        not_ok "$name" "$pair_why"
    elif [ "$got" != "$sizes" ]; then
        not_ok "$name" "results for sizes '$got', not '$sizes'"
    else
        ok "$name"
        return
    fi
    sed 's/^/    client: /' "$TMPDIR/client"
    sed 's/^/    server: /' "$TMPDIR/server"
}

count=$(scaled 2000)
one="-d efa_0"
two="-d efa_1"

for size in 1 33 8928; do
    pair "ib_send_lat SRD, $size bytes" $size "$count" "$one" "$one" \
        ib_send_lat -c SRD -s $size
done
pair "ib_send_lat SRD, two devices" 64 "$count" "$one" "$two" \
    ib_send_lat -c SRD -s 64
pair "ib_send_lat SRD, no inline" 8 "$count" "$one" "$one" \
    ib_send_lat -c SRD -s 8 -I 0
for size in 64 8928; do
    pair "ib_send_bw SRD, $size bytes" $size "$count" "$one" "$one" \
        ib_send_bw -c SRD -s $size
done
pair "ib_send_bw SRD, both ways" 4096 "$count" "$one" "$one" \
    ib_send_bw -c SRD -s 4096 -b
pair "ib_send_bw SRD, all sizes" \
    "2 4 8 16 32 64 128 256 512 1024 2048 4096 8192" "$count" "$one" "$one" \
    ib_send_bw -c SRD -a
pair "ib_read_lat SRD, 8 bytes" 8 "$count" "$one" "$one" \
    ib_read_lat -c SRD -s 8
for size in 65536 1048576; do
    pair "ib_read_bw SRD, $size bytes" $size "$count" "$one" "$one" \
        ib_read_bw -c SRD -s $size
done
pair "ib_read_bw SRD, two devices" 65536 "$count" "$one" "$two" \
    ib_read_bw -c SRD -s 65536
for size in 8 4096; do
    pair "ib_send_lat UD, $size bytes" $size "$count" "$one" "$one" \
        ib_send_lat -c UD -s $size
done

finish
