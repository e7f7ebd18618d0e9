#!/usr/bin/env bash
# Side by side, in one run, on one machine and one Soft-EFA: raw verbs, UCX over
# srd (UCT and UCP), libfabric's EFA provider, MPI and OpenSHMEM; the same UCX
# over TCP and shared memory; and instructions of each operation.
#
#   contrib/bench.sh [--reps N] [--quick] [--no-instructions] [--csv FILE]
#                    [--only PATTERN] [--upstream SOURCE_DIR:PREFIX]
#                    [--picture FILE] [--thresholds]
#   contrib/bench.sh --compare REV [--threshold PERCENT]
#
#   --quick   a quarter of the messages, 3 repetitions if --reps does not say;
#             twice: a sixteenth
#   --only    measures whose name matches the shell pattern, e.g. '*get*'
#   --upstream SOURCE_DIR:PREFIX
#             beside all that, UCX's own srd and ours in a UCX of yours: 1.20 or
#             later, installed in PREFIX, built with EFA, and its sources
#   --picture FILE
#             latency and bandwidth of sizes from 8 B to 4 MB, alone, as SVG
#   --thresholds
#             UCP's tags over srd, alone: as it chooses, and with each protocol
#             that it could have chosen; with --upstream, in that UCX
#   --compare REV
#             instructions alone, by that commit and by the working tree. REV is
#             built as BUILD_DIR was configured, in a cache outside of the tree.
#             The status is 1 if an operation needs more than 2 % (--threshold)
#             more. A commit may say that it does, and why: lines of its message
#             such as "Instructions: +3 % because ..." raise the threshold. REV
#             may be "last", as in CI: the newest commit before this one that has
#             such a line, otherwise the one before. So what was gained stays
#             gained if its commit says "Instructions: -10 %". The status is 77 if
#             REV is not here, as in a shallow clone.
#
# Repetitions are interleaved (every tool once, then every tool again), medians
# are reported, and what counts are the ratios: absolute times are the machine's.
# UCX over TCP and shared memory runs without efarun and Soft-EFA.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD_DIR:-$here/build}
reps=
scale=1
instructions=y
csv=
only='*'
upstream=
picture=
thresholds=n
compare=
threshold=2
jobs=$(nproc)

while [ $# -gt 0 ]; do
    case $1 in
    --reps)            reps=${2:?--reps needs a number}; shift ;;
    --quick)           scale=$((scale * 4)) ;;
    --no-instructions) instructions=n ;;
    --csv)             csv=${2:?--csv needs a file}; shift ;;
    --only)            only=${2:?--only needs a pattern}; shift ;;
    --upstream)        upstream=${2:?--upstream needs directories}; shift ;;
    --picture)         picture=${2:?--picture needs a file}; shift ;;
    --thresholds)      thresholds=y ;;
    --compare)         compare=${2:?--compare needs a commit}; shift ;;
    --threshold)       threshold=${2:?--threshold needs a value}; shift ;;
    -h|--help)         sed -n '2,37s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "bench.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done
# shellcheck source=test/apps/pair.sh
. "$here/test/apps/pair.sh"
# shellcheck source=contrib/bench-instructions.sh
. "$here/contrib/bench-instructions.sh"
# shellcheck source=contrib/ucx-tree.sh
. "$here/contrib/ucx-tree.sh"
reps=${reps:-$((scale > 1 ? 3 : 5))}

die()
{
    echo "bench.sh: $*" >&2
    exit 1
}

efarun=$build/src/tools/efarun
program=$build/test/apps/instructions
tools=(taskset)
[ -n "$compare" ] || tools+=(ib_send_lat ib_send_bw ib_read_lat ib_read_bw
                             ucx_perftest fi_pingpong)
for file in "$efarun" "$program" "$build/test/apps/verbs_msg"; do
    [ -n "$compare" ] && [ "$file" != "$efarun" ] || [ -x "$file" ] ||
        die "$file is missing: run contrib/demo.sh first, or set BUILD_DIR;" \
            "make check-programs"
done
for tool in "${tools[@]}"; do
    command -v "$tool" > /dev/null ||
        die "$tool is missing: run contrib/install-deps.sh"
done
if [ -n "$compare" ]; then
    command -v valgrind > /dev/null || compare_die "valgrind is missing"
elif [ "$instructions" = y ] && ! command -v valgrind > /dev/null; then
    echo "bench.sh: no valgrind, instructions are left out" >&2
    instructions=n
fi

tmp=$(mktemp -d)
cleanup()
{
    pair_end
    rm -rf "$tmp"
}
trap cleanup EXIT
if [ -n "$compare" ]; then
    instructions_compare "$compare" "$threshold"
    exit
fi
: > "$tmp/results.csv"

export UCX_TLS=srd,self UCX_WARN_UNUSED_ENV_VARS=n
export FI_EFA_ENABLE_SHM_TRANSFER=0
dev=$("$efarun" --soft --quiet ibv_devices | awk '/^ *[a-z]+/ && !/device|---/ \
      { print $1; exit }')
cpus=$(nproc)
# shellcheck source=contrib/bench-measure.sh
. "$here/contrib/bench-measure.sh"
perftest_find

# second_prepare SOURCE_DIR:PREFIX: sets second, an efarun that has our transport
# for that UCX, and second_perftest
second_prepare()
{
    local tree=${1%%:*} prefix=${1#*:} version who libs
    local -a perftest

    version=$(ucx_tree_version "$tree" 2> /dev/null) || true
    if [ -z "$version" ] || [ ! -x "$prefix/bin/ucx_perftest" ]; then
        die "--upstream needs SOURCE_DIR:PREFIX, sources of a UCX and where it" \
            "is installed, not '$1'"
    fi
    # What efarun finds beside itself, with one more transport
    second=$tmp/second/src/tools/efarun
    for libs in src/softefa src/uct/ib/efa src/uct/ib/efa/loader; do
        mkdir -p "$tmp/second/$libs/.libs"
        cp -a "$build/$libs/.libs/"*.so* "$tmp/second/$libs/.libs"
    done
    mkdir -p "${second%/*}"
    cp "$efarun" "$second"
    "$here/contrib/build-modules.sh" --build "$build" --out "$tmp/second/$libs/.libs" \
        "${version%.*}=$tree:$prefix" > "$tmp/modules" ||
        die "no transport for UCX $version"
    for who in ucx-efa upstream; do
        EFARUN_TRANSPORT=$who "$second" --soft --quiet "$prefix/bin/ucx_info" \
            -d > "$tmp/info" 2> "$tmp/error" || true
        grep -q 'Transport: srd' "$tmp/info" ||
            die "no srd of $who in $prefix: $(head -n 1 "$tmp/error")"
    done
    pair_perftest=$prefix/bin/ucx_perftest
    perftest_find
    second_perftest=("${perftest[@]}")
    second_version=$version
}

# in_second COMMAND...: a measure with the other UCX
in_second()
{
    local -a perftest=("${second_perftest[@]}")
    local -a pair_over=("$second" --soft --quiet)

    "$@"
}

# Messages of a size: enough to be measured, few enough for its time
lat_count()
{
    echo $((20000 / scale / (1 + $1 / 16384) + 20))
}

bw_count()
{
    echo $((200000 / scale / (1 + $1 / 4096) + 50))
}

# What can be compared message by message, of one size: latency, then bandwidth.
# Above the largest message of the device (8928 B), raw verbs and UCT have RDMA
# read only, as UCP has.
message=8928
latency_of()
{
    local bytes=$1 n

    n=$(lat_count "$bytes")
    if [ "$bytes" -le $message ]; then
        verbs send_lat "$bytes" "$n"
        reader lat "$bytes" "$n"
        uct uct am_lat "$bytes" "$n"
    else
        verbs read_lat "$bytes" "$n"
    fi
    ucp ucp tag_lat "$bytes" "$n"
    libfabric "$bytes" "$n"
    over tcp,self ucp tcp tag_lat "$bytes" "$n"
    over posix,self ucp shm tag_lat "$bytes" "$n"
    if [ -n "$upstream" ]; then
        in_second ucp ours tag_lat "$bytes" "$n"
        EFARUN_TRANSPORT=upstream in_second ucp upstream tag_lat "$bytes" "$n"
    fi
}

bandwidth_of()
{
    local bytes=$1 n

    n=$(bw_count "$bytes")
    if [ "$bytes" -le $message ]; then
        verbs send_bw "$bytes" "$n"
        reader bw "$bytes" "$n"
        uct uct am_bw "$bytes" "$n"
    else
        verbs read_bw "$bytes" "$n"
        uct uct get_bw "$bytes" "$n"
    fi
    ucp ucp tag_bw "$bytes" "$n"
    over tcp,self ucp tcp tag_bw "$bytes" "$n"
    over posix,self ucp shm tag_bw "$bytes" "$n"
    if [ -n "$upstream" ]; then
        in_second ucp ours tag_bw "$bytes" "$n"
        EFARUN_TRANSPORT=upstream in_second ucp upstream tag_bw "$bytes" "$n"
    fi
}

# What cannot be asked of this rdma-core (RDMA write before 46) is left out.
writes=n
if "$efarun" --soft --quiet ucx_info -d 2> /dev/null |
       sed -n '/Transport: srd/,/Transport:/p' | grep put_zcopy > /dev/null &&
       command -v ib_write_bw > /dev/null; then
    writes=y
fi

one_sided()
{
    local n=$((20000 / scale)) m=$((2000 / scale))

    verbs read_lat 8 "$n"
    uct uct get_lat 8 "$n"
    if [ "$writes" = y ]; then
        verbs write_bw 1048576 "$m"
        uct uct put_lat 8 "$n"
        uct uct put_bw 1048576 "$m"
        # a get in software waits for ucx_perftest's server, which looks once a
        # millisecond
        ucp ucp get 8 "$n"
    fi
    ucp ucp put_lat 8 "$n"

    if { wanted shmem_put_lat || wanted shmem_put_bw || wanted shmem_get_bw; } &&
           job oshrun shmem_pingpong.oshmem; then
        column shmem_put_lat 8 us 2
        column shmem_put_bw 1048576 MB/s 3
        column shmem_get_bw 1048576 MB/s 4
    fi
    if { wanted mpi_lat || wanted mpi_bw; } &&
           job mpirun.openmpi mpi_pingpong.openmpi; then
        column mpi_lat 8 us 2
        column mpi_bw 1048576 MB/s 3
    fi
}

# By rendezvous, with one device of two and with both
two_rails()
{
    local -x SOFTEFA_DEVICES=2 UCX_MAX_RNDV_RAILS
    local n=$((2000 / scale))

    for UCX_MAX_RNDV_RAILS in 1 2; do
        ucp rails$UCX_MAX_RNDV_RAILS tag_bw 4194304 "$n"
    done
}

# UCX's own srd sends at most 4085 B at once. Where UCP changes from one protocol
# to the other depends on what a transport says of itself
beside_upstream()
{
    local n=$((20000 / scale)) b=$((200000 / scale)) who
    local -x EFARUN_TRANSPORT

    for EFARUN_TRANSPORT in ucx-efa upstream; do
        who=upstream
        [ "$EFARUN_TRANSPORT" = upstream ] || who=ours
        in_second uct "${who}_am" am_lat 8 "$n"
        in_second uct "${who}_am" am_rate 8 "$b"
        in_second uct "${who}_am" am_bw 4000 "$b"
        UCX_RNDV_THRESH=inf in_second ucp "${who}_eager" tag_lat 65536 \
            $((n / 10))
        UCX_RNDV_THRESH=8k in_second ucp "${who}_rndv" tag_lat 65536 $((n / 10))
        in_second ucp "$who" tag_rate 8 "$b"
    done
}

round()
{
    local b=$((200000 / scale)) bytes

    for bytes in 8 1024 8000 65536 1048576; do
        latency_of $bytes
    done
    for bytes in 8000 65536 1048576 4194304; do
        bandwidth_of $bytes
    done
    verbs send_rate 64 "$b"
    uct uct am_rate 8 "$b"
    ucp ucp tag_rate 8 "$b"
    one_sided
    two_rails
    [ -z "$upstream" ] || beside_upstream
}

# The sizes of the picture; 8000 B is nearly the largest message
round_of_picture()
{
    local bytes

    for bytes in 8 32 128 512 2048 8000 32768 131072 524288 2097152 4194304; do
        latency_of $bytes
        bandwidth_of $bytes
    done
}

# By copies of the sender and the receiver, from the user's memory, by rendezvous
round_of_thresholds()
{
    local bytes n where=

    [ -z "$upstream" ] || where=in_second
    for bytes in 256 1024 2048 4096 8000 16384 32768 65536 131072 262144 524288 \
                 1048576; do
        for n in lat bw; do
            $where ucp default tag_$n $bytes "$("${n}_count" $bytes)"
            UCX_RNDV_THRESH=1 $where ucp rndv tag_$n $bytes \
                "$("${n}_count" $bytes)"
            UCX_RNDV_THRESH=inf UCX_ZCOPY_THRESH=inf $where ucp bcopy tag_$n \
                $bytes "$("${n}_count" $bytes)"
            UCX_RNDV_THRESH=inf UCX_ZCOPY_THRESH=1 $where ucp zcopy tag_$n \
                $bytes "$("${n}_count" $bytes)"
        done
    done
}

[ -z "$upstream" ] || second_prepare "$upstream"
for i in $(seq "$reps"); do
    echo "bench.sh: round $i of $reps" >&2
    if [ -n "$picture" ]; then
        round_of_picture
    elif [ $thresholds = y ]; then
        round_of_thresholds
    else
        round
    fi
done
if [ "$instructions" = y ] && [ -z "$picture" ] && [ $thresholds = n ]; then
    echo "bench.sh: counting instructions" >&2
    instructions_paths "$efarun" "$tmp/results.csv"
    UCX_SRD_DIRECT=n UCX_EFA_STATS=n instructions_count "$efarun" no_stats_ \
        "$tmp/results.csv"
    if [ -n "$upstream" ]; then
        # The program's UCX, by its name, is the other one
        for EFARUN_TRANSPORT in ucx-efa upstream; do
            who=upstream_
            [ "$EFARUN_TRANSPORT" = upstream ] || who=ours_
            EFARUN_TRANSPORT=$EFARUN_TRANSPORT \
                LD_LIBRARY_PATH=${upstream#*:}/lib \
                instructions_count "$second" "$who" "$tmp/results.csv"
        done
    fi
fi
[ -z "$csv" ] || { echo "name,bytes,unit,value"; cat "$tmp/results.csv"; } \
    > "$csv"

# What ran
version_of()
{
    fi_info --version 2> /dev/null | sed -n 's/^libfabric: //p'
}
if [ -n "$picture" ]; then
    awk -F, -v reps="$reps" -f "$here/contrib/bench-median.awk" \
        -f "$here/contrib/bench-picture.awk" "$tmp/results.csv" > "$picture"
fi
awk -F, -v reps="$reps" -v ucx="$(ucx_info -v | awk '/ersion/ { print $NF; exit }')" \
    -v libfabric="$(version_of)" -v second="${second_version:-}" \
    -f "$here/contrib/bench-median.awk" -f "$here/contrib/bench-table.awk" \
    "$tmp/results.csv"
