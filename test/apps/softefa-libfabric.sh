#!/usr/bin/env bash
# libfabric's EFA provider between two processes over Soft-EFA: fi_pingpong
# checks the data it gets (-c). Both endpoints of one host would otherwise
# speak through libfabric's own shared memory.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need fi_pingpong libfabric-bin
need fi_info libfabric-bin

export FI_EFA_ENABLE_SHM_TRANSFER=0

# pingpong NAME ITERATIONS "SIZES" ARGS...
pingpong()
{
    local name=$1 count=$2 sizes=$3 got
    shift 3

    pair_run "$TMPDIR" "$EFARUN" --soft --quiet fi_pingpong -p efa -c \
        -I "$count" "$@" -- -B @PORT@ -- -P @PORT@ 127.0.0.1

    # Columns: bytes, sent, acknowledged, total, time, ... The third says how
    # many were checked.
    got=$(awk -v n="$2" '$2 ~ /^[0-9]/ && $3 ~ /^=/ { print $1 }' \
        "$TMPDIR/client" | tr '\n' ' ' | sed 's/ $//')
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

count=$(scaled 200)

for type in FI_EP_RDM FI_EP_DGRAM; do
    if "$EFARUN" --soft --quiet fi_info -p efa -t $type >"$TMPDIR/info" 2>&1 &&
           grep -q 'domain: efa_0' "$TMPDIR/info"; then
        ok "fi_info -t $type finds efa_0"
    else
        not_ok "fi_info -t $type finds efa_0" "$(tail -n 1 "$TMPDIR/info")"
    fi
done

# Without tags libfabric 2 takes its fabric efa-direct, whose messages are the
# device's; fi_pingpong leaves out what is longer
direct=n
! "$EFARUN" --soft --quiet fi_info -p efa -t FI_EP_RDM 2>&1 |
    grep -q 'fabric: efa-direct' || direct=y
for size in 1 64 8192 10240 65536 1048576; do
    if [ $size -gt 8928 ] && [ $direct = y ]; then
        pingpong "rdm tagged, $size bytes" "$count" "$(unit $size)" \
            -e rdm -m tagged -S $size
    else
        pingpong "rdm, $size bytes" "$count" "$(unit $size)" -e rdm -S $size
    fi
done
for size in 64 65536; do
    pingpong "rdm tagged, $size bytes" "$count" "$(unit $size)" \
        -e rdm -m tagged -S $size
done
for size in 1 64 4096; do
    pingpong "dgram, $size bytes" "$count" "$(unit $size)" -e dgram -S $size
done

# The same with faults that libfabric must live with: late messages in another
# order, and receivers without requests
export SOFTEFA_FAULTS='delay us=300 dist=exp p=0.1; reorder depth=8
    rnr burst=3 every=20'
export SOFTEFA_FAULT_LOG=counts
for size in 64 65536; do
    pingpong "rdm with faults, $size bytes" "$(scaled 50)" "$(unit $size)" \
        -e rdm -m tagged -S $size
    for rule in delay reorder rnr; do
        if grep -q "fault . ($rule): [1-9]" "$TMPDIR/server"; then
            ok "rdm with faults, $size bytes: $rule struck"
        else
            not_ok "rdm with faults, $size bytes: $rule struck" "never"
        fi
    done
done

finish
