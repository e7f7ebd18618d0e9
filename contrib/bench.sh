#!/usr/bin/env bash
# Side by side, in one run, on one Soft-EFA: raw verbs (perftest), UCX over srd
# (UCT and UCP), libfabric's EFA provider, MPI and OpenSHMEM; and instructions
# per message.
#
#   contrib/bench.sh [--reps N] [--quick] [--no-instructions] [--csv FILE]
#                    [--only PATTERN] [--upstream PREFIX]
#   contrib/bench.sh --compare REV [--threshold PERCENT]
#
#   --quick   a quarter of the messages, 3 repetitions if --reps does not say
#   --only    measures whose name matches the shell pattern, e.g. '*get*'
#   --upstream PREFIX
#             compare with UCX's own srd, instead: both in the UCX that is
#             installed there, built with EFA, and for which BUILD_DIR was built
#             (configure --with-ucx=PREFIX --with-ucx-src=...)
#
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
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD_DIR:-$here/build}
reps=
scale=1
instructions=y
csv=
only='*'
upstream=
compare=
threshold=2
jobs=$(nproc)

while [ $# -gt 0 ]; do
    case $1 in
    --reps)            reps=$2; shift ;;
    --quick)           scale=4 ;;
    --no-instructions) instructions=n ;;
    --csv)             csv=$2; shift ;;
    --only)            only=$2; shift ;;
    --upstream)        upstream=$2; shift ;;
    --compare)         compare=${2:?--compare needs a commit}; shift ;;
    --threshold)       threshold=${2:?--threshold needs a value}; shift ;;
    -h|--help)         sed -n '2,30s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "bench.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done
# shellcheck source=test/apps/pair.sh
. "$here/test/apps/pair.sh"
# shellcheck source=contrib/bench-instructions.sh
. "$here/contrib/bench-instructions.sh"
reps=${reps:-$((scale > 1 ? 3 : 5))}

efarun=$build/src/tools/efarun
[ -x "$efarun" ] || {
    echo "bench.sh: $efarun is missing: run contrib/demo.sh first," \
         "or set BUILD_DIR" >&2
    exit 1
}
program=$build/test/apps/instructions
tools=(taskset)
[ -n "$compare" ] || [ -n "$upstream" ] || tools+=(ib_send_lat ib_send_bw ib_read_lat ib_read_bw
                              ucx_perftest fi_pingpong)
for tool in "${tools[@]}"; do
    command -v "$tool" > /dev/null || {
        echo "bench.sh: $tool is missing: run contrib/install-deps.sh" >&2
        exit 1
    }
done
if [ -n "$compare" ]; then
    command -v valgrind > /dev/null || compare_die "valgrind is missing"
elif [ "$instructions" = y ] && ! command -v valgrind > /dev/null; then
    echo "bench.sh: no valgrind, instructions per message are left out" >&2
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
pair_perftest=${upstream:+$upstream/bin/ucx_perftest}
perftest_find

# Whose srd, and is it there? EFARUN_TRANSPORT is efarun's
for EFARUN_TRANSPORT in ${upstream:+ucx-efa upstream}; do
    export EFARUN_TRANSPORT
    "$efarun" --soft --quiet "$upstream/bin/ucx_info" -d > "$tmp/info" \
        2> "$tmp/error" || true
    grep -q 'Transport: srd' "$tmp/info" || {
        echo "bench.sh: no srd of $EFARUN_TRANSPORT in $upstream:" \
             "$(head -n 1 "$tmp/error")" >&2
        exit 1
    }
done

# wanted NAME: by --only
wanted()
{
    # shellcheck disable=SC2254 # a pattern
    case $1 in $only) return 0 ;; esac
    return 1
}

# pair NAME SIZE UNIT PARSER COMMAND... -- SERVER-ARGS... -- CLIENT-ARGS...
# Starts COMMAND as server on one core and as client on another; appends
# NAME,SIZE,UNIT,VALUE. PARSER is an awk program over the client's output.
pair_before_server=(taskset -c 0)
pair_before_client=(taskset -c $((cpus > 1 ? 1 : 0)))
pair()
{
    local name=$1 size=$2 unit=$3 parser=$4 value
    shift 4
    wanted "$name" || return 0

    if ! pair_run "$tmp" "$efarun" --soft --quiet "$@"; then
        echo "bench.sh: failed: $*: $pair_why" >&2
        tail -n 20 "$tmp/client" "$tmp/server" >&2
        exit 1
    fi
    value=$(awk "$parser" "$tmp/client")
    if [ -z "$value" ]; then
        echo "bench.sh: no figure in the output of: $*" >&2
        cat "$tmp/client" >&2
        exit 1
    fi
    echo "$name,$size,$unit,$value" >> "$tmp/results.csv"
}

# Columns. Latencies are medians over a run's messages: perftest's t_typical,
# ucx_perftest's 50 percentile (fi_pingpong knows the average only); bandwidths
# and rates are those of the whole run.
# shellcheck disable=SC2016 # awk programs
{
lat_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $5 } END { print v }'
bw_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $4 } END { print v }'
rate_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $5 } END { print v }'
ucx_lat='$1 ~ /^[0-9]+$/ && NF == 8 { v = $2 } END { print v }'
ucx_bw='$1 ~ /^[0-9]+$/ && NF == 8 { v = $6 } END { print v }'
ucx_rate='$1 ~ /^[0-9]+$/ && NF == 8 { v = $8 / 1e6 } END { print v }'
fi_lat='$1 ~ /^[0-9.]+[kmg]?$/ && NF >= 7 { v = $(NF - 1) } END { print v }'
}

verbs()
{
    local tool=$1 size=$2 n=$3
    cmd=("$tool" -c SRD -x 0 -d "$dev" -p @PORT@ -s "$size" -n "$n" -F)
}

# uct NAME SIZE UNIT PARSER COUNT TEST LAYOUT [OPTIONS...]
uct()
{
    local name=$1 size=$2 unit=$3 parser=$4 count=$5 test=$6 layout=$7
    shift 7
    pair "$name" "$size" "$unit" "$parser" "${perftest[@]}" -t "$test" \
         -D "$layout" -x srd -d "$dev:1" -s "$size" -n "$count" \
         -w $((count / 10)) -p @PORT@ -f "$@" -- -- 127.0.0.1
}

# ucp NAME SIZE UNIT PARSER COUNT TEST [OPTIONS...]
ucp()
{
    local name=$1 size=$2 unit=$3 parser=$4 count=$5 test=$6
    shift 6
    pair "$name" "$size" "$unit" "$parser" "${perftest[@]}" -t "$test" -s "$size" \
         -n "$count" -w $((count / 10)) -p @PORT@ -f "$@" -- -- 127.0.0.1
}

# Programs of test/apps that print "SIZE FIGURE..." lines, if they are built
launch=(-np 2 --mca pml ucx --mca btl self --mca opal_common_ucx_tls any
        --mca opal_common_ucx_devices any
        --mca opal_common_ucx_opal_mem_hooks 0)
if [ "$cpus" -gt 1 ]; then
    launch+=(--bind-to core)
else
    launch+=(--oversubscribe)
fi
[ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)

# job LAUNCHER PROGRAM: leaves its output in $tmp/job; fails if it is not there
job()
{
    local program=$build/test/apps/$2

    if ! command -v "$1" > /dev/null || [ ! -x "$program" ]; then
        return 1
    fi
    timeout 900 "$1" "${launch[@]}" "$efarun" --soft --quiet "$program" \
        $((8000 / scale)) > "$tmp/job" 2>&1 < /dev/null || {
        echo "bench.sh: failed: $1 $2" >&2
        tail -n 20 "$tmp/job" >&2
        exit 1
    }
}

# column NAME SIZE UNIT NUMBER: of the line of that size in the last job
column()
{
    wanted "$1" || return 0
    awk -v name="$1" -v size="$2" -v unit="$3" -v n="$4" '
        $1 == size && $n ~ /^[0-9.]+$/ {
            printf "%s,%s,%s,%s\n", name, size, unit, $n
            exit
        }' "$tmp/job" >> "$tmp/results.csv"
}

# One-sided, and what goes by rendezvous. What cannot be asked of this rdma-core
# (RDMA write before 46) is left out.
one_sided()
{
    local n=$((20000 / scale)) m=$((2000 / scale)) s

    verbs ib_read_lat 8 "$n"
    pair verbs_read_lat 8 us "$lat_parser" "${cmd[@]}" -- -- 127.0.0.1
    uct uct_get_lat 8 us "$ucx_lat" "$n" get bcopy -O 1
    for s in 1048576 4194304; do
        verbs ib_read_bw "$s" "$m"
        pair verbs_read_bw "$s" MB/s "$bw_parser" "${cmd[@]}" -- -- 127.0.0.1
        uct uct_get_zcopy_bw "$s" MB/s "$ucx_bw" "$m" get zcopy
        ucp ucp_tag_bw "$s" MB/s "$ucx_bw" "$m" tag_bw
    done
    if [ "$writes" = y ]; then
        verbs ib_write_bw 1048576 "$m"
        pair verbs_write_bw 1048576 MB/s "$bw_parser" "${cmd[@]}" \
             -- -- 127.0.0.1
        uct uct_put_short_lat 8 us "$ucx_lat" "$n" put_lat short
        uct uct_put_zcopy_bw 1048576 MB/s "$ucx_bw" "$m" put_bw zcopy
    fi
    # a get in software waits for ucx_perftest's server, which looks once a
    # millisecond
    [ "$writes" = n ] || ucp ucp_get_lat 8 us "$ucx_lat" "$n" ucp_get -O 1
    ucp ucp_put_lat 8 us "$ucx_lat" "$n" ucp_put_lat

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

writes=n
if "$efarun" --soft --quiet ucx_info -d 2> /dev/null |
       sed -n '/Transport: srd/,/Transport:/p' | grep -q put_zcopy &&
       command -v ib_write_bw > /dev/null; then
    writes=y
fi

round()
{
    local n=$((20000 / scale)) b=$((200000 / scale)) s
    local -a cmd

    for s in 8 1024 8000; do
        verbs ib_send_lat "$s" "$n"
        pair verbs_lat "$s" us "$lat_parser" "${cmd[@]}" -- -- 127.0.0.1
        ucp ucp_tag_lat "$s" us "$ucx_lat" "$n" tag_lat
        pair libfabric_lat "$s" us "$fi_lat" fi_pingpong -p efa -e rdm \
             -I "$n" -S "$s" -- -B @PORT@ -- -P @PORT@ 127.0.0.1
    done
    uct uct_am_short_lat 8 us "$ucx_lat" "$n" am_lat short
    uct uct_am_bcopy_lat 1024 us "$ucx_lat" "$n" am_lat bcopy
    ucp ucp_tag_lat 65536 us "$ucx_lat" $((n / 10)) tag_lat
    pair libfabric_lat 65536 us "$fi_lat" fi_pingpong -p efa -e rdm \
         -I $((n / 10)) -S 65536 -- -B @PORT@ -- -P @PORT@ 127.0.0.1

    verbs ib_send_bw 64 "$b"
    pair verbs_rate 64 Mmsg/s "$rate_parser" "${cmd[@]}" -- -- 127.0.0.1
    uct uct_am_short_rate 8 Mmsg/s "$ucx_rate" "$b" am_bw short
    ucp ucp_tag_rate 8 Mmsg/s "$ucx_rate" "$b" tag_bw
    verbs ib_send_bw 8000 "$b"
    pair verbs_bw 8000 MB/s "$bw_parser" "${cmd[@]}" -- -- 127.0.0.1
    uct uct_am_zcopy_bw 8000 MB/s "$ucx_bw" "$b" am_bw zcopy

    one_sided
}

# The same measures of both; the sizes are what upstream's can send at once
beside_upstream()
{
    local n=$((20000 / scale)) b=$((200000 / scale)) m=$((2000 / scale)) s who
    local -x EFARUN_TRANSPORT

    for EFARUN_TRANSPORT in ucx-efa upstream; do
        who=${EFARUN_TRANSPORT#ucx-}
        uct "${who}_am_short_lat" 8 us "$ucx_lat" "$n" am_lat short
        uct "${who}_am_short_rate" 8 Mmsg/s "$ucx_rate" "$b" am_bw short
        uct "${who}_am_zcopy_bw" 4000 MB/s "$ucx_bw" "$b" am_bw zcopy
        for s in 8 4000 8000; do
            UCX_RNDV_THRESH=inf ucp "${who}_tag_lat" "$s" us "$ucx_lat" "$n" \
                tag_lat
        done
        # Where UCP changes from one to the other depends on the latency that a
        # transport tells, which is the NIC's in ours
        UCX_RNDV_THRESH=inf ucp "${who}_tag_eager_lat" 65536 us "$ucx_lat" "$n" \
            tag_lat
        UCX_RNDV_THRESH=8k ucp "${who}_tag_rndv_lat" 65536 us "$ucx_lat" "$n" \
            tag_lat
        ucp "${who}_tag_rate" 8 Mmsg/s "$ucx_rate" "$b" tag_bw
        for s in 8000 1048576; do
            ucp "${who}_tag_bw" "$s" MB/s "$ucx_bw" "$m" tag_bw
        done
    done
}

for i in $(seq "$reps"); do
    echo "bench.sh: round $i of $reps" >&2
    if [ -n "$upstream" ]; then
        beside_upstream
    else
        round
    fi
done
if [ "$instructions" = y ] && [ -n "$upstream" ]; then
    echo "bench.sh: counting instructions" >&2
    EFARUN_TRANSPORT=ucx-efa instructions_count "$efarun" efa_ \
        "$tmp/results.csv"
    EFARUN_TRANSPORT=upstream instructions_count "$efarun" upstream_ \
        "$tmp/results.csv"
elif [ "$instructions" = y ]; then
    echo "bench.sh: counting instructions" >&2
    instructions_count "$efarun" '' "$tmp/results.csv"
    UCX_EFA_STATS=n instructions_count "$efarun" no_stats_ "$tmp/results.csv"
fi
[ -z "$csv" ] || { echo "name,size,unit,value"; cat "$tmp/results.csv"; } \
    > "$csv"

awk -F, -v reps="$reps" '
function median(key,    n, i, j, t, v) {
    n = cnt[key]
    if (!n) return -1
    for (i = 1; i <= n; i++) v[i] = val[key, i]
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
            t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
        }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
function bar(text, ratio, op, limit) {
    if (ratio < 0) return
    printf "| %-52s | %6.2f | %s %-5s | %s |\n", text, ratio, op, limit,
           (op == "<=" ? ratio <= limit : ratio >= limit) ? "yes" : "NO"
}
# Ours and upstream, 1 is as good: more is better for us
function beside(text, what, swap,    a, b) {
    a = median("efa_" what); b = median("upstream_" what)
    if (a > 0 && b > 0)
        printf "| %-52s | %6.2f | %-8s | %-3s |\n", text,
               swap ? a / b : b / a, "", ""
}
# Of an operation, by parts
function instructions(name, parts,    n, i, part, sum) {
    n = split(parts, part, " ")
    for (i = 1; i <= n; i++)
        if (median(name ":" part[i] ",8") > 0)
            sum += median(name ":" part[i] ",8")
    return sum + 0
}
function ratio(a, b) {
    return (median(a) < 0 || median(b) <= 0) ? -1 : median(a) / median(b)
}
{ key = $1 "," $2; cnt[key]++; val[key, cnt[key]] = $4; unit[key] = $3
  if (!(key in seen)) { seen[key] = 1; order[++nkeys] = key } }
END {
    printf "| %-24s | %8s | %-7s | %10s |\n", "measure", "bytes", "unit",
           "median"
    print  "|--------------------------|----------|---------|------------|"
    for (k = 1; k <= nkeys; k++) {
        split(order[k], p, ",")
        printf "| %-24s | %8s | %-7s | %10.2f |\n", p[1], p[2],
               unit[order[k]], median(order[k])
    }
    print ""
    printf "| %-52s | %6s | %-8s | %s |\n", "ratio, one run, medians of " \
           reps, "is", "bar", "met"
    print  "|------------------------------------------------------|--------" \
           "|----------|-----|"
    bar("UCT am_short latency / raw verbs, 8 B",
        ratio("uct_am_short_lat,8", "verbs_lat,8"), "<=", 1.05)
    bar("UCP tag latency / raw verbs, 8 B",
        ratio("ucp_tag_lat,8", "verbs_lat,8"), "<=", 1.2)
    bar("UCP tag latency / raw verbs, 8000 B",
        ratio("ucp_tag_lat,8000", "verbs_lat,8000"), "<=", 1.3)
    bar("libfabric rdm latency / UCP tag, 8 B",
        ratio("libfabric_lat,8", "ucp_tag_lat,8"), ">=", 2)
    bar("libfabric rdm latency / UCP tag, 1 KB",
        ratio("libfabric_lat,1024", "ucp_tag_lat,1024"), ">=", 2)
    bar("libfabric rdm latency / UCP tag, 64 KB",
        ratio("libfabric_lat,65536", "ucp_tag_lat,65536"), ">=", 2)
    bar("UCT am_short rate 8 B / raw verbs rate 64 B",
        ratio("uct_am_short_rate,8", "verbs_rate,64"), ">=", 1.3)
    bar("UCT am_zcopy bandwidth / raw verbs, 8000 B",
        ratio("uct_am_zcopy_bw,8000", "verbs_bw,8000"), ">=", 0.9)
    bar("UCT get latency / raw RDMA read, 8 B",
        ratio("uct_get_lat,8", "verbs_read_lat,8"), "<=", 1.15)
    bar("UCT get_zcopy bandwidth / raw RDMA read, 1 MB",
        ratio("uct_get_zcopy_bw,1048576", "verbs_read_bw,1048576"), ">=", 0.95)
    bar("UCP tag bandwidth / raw RDMA read, 1 MB",
        ratio("ucp_tag_bw,1048576", "verbs_read_bw,1048576"), ">=", 0.9)
    bar("UCP tag bandwidth / raw RDMA read, 4 MB",
        ratio("ucp_tag_bw,4194304", "verbs_read_bw,4194304"), ">=", 0.9)
    bar("UCT put_zcopy bandwidth / raw RDMA write, 1 MB",
        ratio("uct_put_zcopy_bw,1048576", "verbs_write_bw,1048576"), ">=", 0.95)
    beside("am_short latency 8 B: upstream / ours", "am_short_lat,8", 0)
    beside("am_short rate 8 B: ours / upstream", "am_short_rate,8", 1)
    beside("am_zcopy bandwidth 4000 B: ours / upstream", "am_zcopy_bw,4000", 1)
    beside("tag latency 8 B: upstream / ours", "tag_lat,8", 0)
    beside("tag latency 4000 B: upstream / ours", "tag_lat,4000", 0)
    beside("tag latency 8000 B: upstream / ours", "tag_lat,8000", 0)
    beside("tag latency 64 KB, eager: upstream / ours",
           "tag_eager_lat,65536", 0)
    beside("tag latency 64 KB, rendezvous: upstream / ours",
           "tag_rndv_lat,65536", 0)
    beside("tag rate 8 B: ours / upstream", "tag_rate,8", 1)
    beside("tag bandwidth 8000 B: ours / upstream", "tag_bw,8000", 1)
    beside("tag bandwidth 1 MB: ours / upstream", "tag_bw,1048576", 1)
    software = "transport ucx libefa"
    efa = instructions("efa_am_short", software)
    if (efa > 0)
        printf "| %-52s | %6.2f | %-8s | %-3s |\n",
               "instructions, am_short 8 B: upstream / ours",
               instructions("upstream_am_short", software) / efa, "", ""
    all = instructions("am_short", software)
    if (all > 0) {
        bar("instructions, am_short 8 B, our library + libefa", all, "<=", 640)
        bar("the same / with UCX_EFA_STATS=n",
            all / instructions("no_stats_am_short", software), "<=", 1.02)
    }
    if (all > 0)
        bar("instructions, am_short 8 B, device + libc",
            instructions("am_short", "device libc"), "<=", 700)
}' "$tmp/results.csv"
