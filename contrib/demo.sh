#!/usr/bin/env bash
# One command from a clone to SRD: installs what is missing, builds, and runs
# UCX's own benchmark, an MPI and an OpenSHMEM program over SRD queue pairs, on
# the EFA device of this machine or on Soft-EFA.
#
#   contrib/demo.sh [--soft]      --soft: Soft-EFA even if there is a device
#
# UCX, libibverbs and libefa are those of the distribution, unmodified. UCX may
# use no other transport (UCX_TLS=srd,self), and the transport's counters must
# cover every byte that the programs sent.
set -euo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/pair.sh
. "$top/test/apps/pair.sh"
build=${BUILD_DIR:-$top/build}

options=(--quiet)
while [ $# -gt 0 ]; do
    case $1 in
    --soft)    options+=(--soft) ;;
    -h|--help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done

setup_packages demo
build_tree "$build"
quietly "$build/make-apps.log" make -C "$build/test/apps" check-programs

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-demo.XXXXXX")
cleanup()
{
    pair_end
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

efarun=("$build/src/tools/efarun" "${options[@]}")
export SOFTEFA_FABRIC=demo-$$
export UCX_TLS=srd,self
# Every process leaves its stats segment there
export UCX_EFA_STATS=keep XDG_RUNTIME_DIR=$work/segments
mkdir "$XDG_RUNTIME_DIR"

fail()
{
    echo "demo.sh: $*" >&2
    exit 1
}

# counted NAME: sum of one counter over all processes of this run
counted()
{
    local file total=0 value

    for file in "$XDG_RUNTIME_DIR"/ucx-efa.*; do
        [ -e "$file" ] || fail "no process left a stats segment"
        value=$("$build/src/tools/srdtool" -d --file "$file" stat show iface |
            awk -v name="$1" '$1 == name { sum += $2 } END { printf "%d", sum }')
        total=$((total + value))
    done
    echo $total
}

# row TEST RESULT BYTES: prints it with the transport's counters. Bytes leave and
# arrive as messages, or move by RDMA, which the requester counts: the receiver
# of a rendezvous.
row()
{
    local rdma tx rx verdict

    rdma=$(($(counted rdma_read_bytes) + $(counted rdma_write_bytes)))
    tx=$(($(counted tx_bytes) + rdma))
    rx=$(($(counted rx_bytes) + rdma))
    verdict="all"
    if [ "$tx" -lt "$3" ] || [ "$rx" -lt "$3" ]; then
        verdict="NOT ALL"
        failed=y
    fi
    [ $rdma = 0 ] || verdict="$verdict, $((rdma * 100 / tx)) % by RDMA"
    printf '%-26s %-14s %13s %13s   %s\n' "$1" "$2" "$3" "$tx" "$verdict"
    rm -f "$XDG_RUNTIME_DIR"/ucx-efa.*
}

# perftest TEST SIZE COUNT: runs it in two processes, prints the last line
perftest()
{
    pair_run "$work" "${efarun[@]}" "${perftest[@]}" -f -t "$1" -s "$2" \
        -n "$3" -w 0 -p @PORT@ -- -- 127.0.0.1 || {
        cat "$work/server" "$work/client" >&2
        fail "ucx_perftest failed: $pair_why"
    }
    tail -n 1 "$work/client"
}

perftest_find
failed=n
# The line of efarun that says which device it uses
step "run: $("$build/src/tools/efarun" "${options[@]:1}" true 2>&1)"
echo
printf '%-26s %-14s %13s %13s\n' "" "" "bytes sent by" "bytes counted"
printf '%-26s %-14s %13s %13s   %s\n' "program" "result" "the program" \
    "by srd" "over SRD"

count=20000
for size in 8 1024 8000; do
    result=$(perftest tag_lat $size $count)
    # iterations, then the median, average and overall latency
    row "ucx_perftest tag_lat $size" \
        "$(echo "$result" | awk '{ printf "%.2f us", $2 }')" \
        $((2 * size * count))
done
for size in 8000 65536 1048576; do
    count=$((size < 1000000 ? 20000 : 2000))
    result=$(perftest tag_bw $size $count)
    row "ucx_perftest tag_bw $size" \
        "$(echo "$result" | awk '{ printf "%.0f MB/s", $6 }')" \
        $((size * count))
done

# mpirun and oshrun have the same options
launch=(--oversubscribe -np 2 --mca pml ucx --mca btl '^vader,tcp,openib'
        --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any)
[ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)

if command -v mpirun.openmpi > /dev/null &&
       [ -x "$build/test/apps/mpi_pingpong.openmpi" ]; then
    mpirun.openmpi "${launch[@]}" "${efarun[@]}" \
        "$build/test/apps/mpi_pingpong.openmpi" > "$work/mpi" 2>&1 < /dev/null || {
        cat "$work/mpi" >&2
        fail "the Open MPI program failed"
    }
    bytes=$(sed -n 's/^payload //p' "$work/mpi")
    [ -n "$bytes" ] || { cat "$work/mpi" >&2; fail "no result from Open MPI"; }
    row "Open MPI, two ranks" \
        "$(awk '$1 == 8 { printf "%.2f us", $2 }' "$work/mpi")" "$bytes"
    awk '$1 ~ /^[0-9]+$/ { printf "    %8d B %10.2f us %10.1f MB/s\n", $1, $2, $3 }' \
        "$work/mpi"
else
    echo "Open MPI: not installed"
    failed=y
fi

if command -v oshrun > /dev/null &&
       [ -x "$build/test/apps/shmem_pingpong.oshmem" ]; then
    # The last option: docs/running.md
    oshrun "${launch[@]}" --mca opal_common_ucx_opal_mem_hooks 0 \
        "${efarun[@]}" "$build/test/apps/shmem_pingpong.oshmem" 5000 \
        > "$work/shmem" 2>&1 < /dev/null || {
        cat "$work/shmem" >&2
        fail "the OpenSHMEM program failed"
    }
    bytes=$(sed -n 's/^payload //p' "$work/shmem")
    [ -n "$bytes" ] || { cat "$work/shmem" >&2; fail "no result from OpenSHMEM"; }
    row "OpenSHMEM, two PEs" \
        "$(awk '$1 == 8 && NF == 4 { printf "%.2f us", $2 }' "$work/shmem")" \
        "$bytes"
    awk '$1 ~ /^[0-9]+$/ && $4 ~ /^[0-9.]+$/ {
        printf "    %8d B %10.2f us %10.1f MB/s put %10.1f MB/s get\n",
               $1, $2, $3, $4 }' "$work/shmem"
else
    echo "OpenSHMEM: not installed"
    failed=y
fi

echo
if [ $failed = y ]; then
    fail "some bytes did not go over SRD, or a program is missing (see above)"
fi
echo "Every byte went over SRD. Next: efarun --help, docs/running.md," \
     "contrib/check.sh"
