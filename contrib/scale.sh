#!/usr/bin/env bash
# What an interface costs by the number of its peers. See test/apps/scale.h.
#
#   contrib/scale.sh [--peers N] [--quick] [--bar R] [--verbose]
#   contrib/scale.sh --memory|--walk|--incast [--peers N]
#
# Without an option of the second line: instructions (callgrind) of the whole
# process, transport, libefa and Soft-EFA.
#
#   --peers    the largest number of peers (10000); the others are its powers of
#              ten
#   --quick    only ten, and the largest number
#   --bar      fail if the last line's ratio is above it (1.3)
#   --verbose  where the instructions are, for the largest number
#
# The last line is "scale: N=10000/N=10 R": R is the worst of the ratios of what
# may not depend on the peers, of the largest number to ten. With one peer all
# messages have the same sender, which is cheaper. Endpoints are made once, so
# that "connect" is shown and not judged. With 10000 peers some 2 GB of memory
# are in use, and 2 minutes go by.
#
#   --memory   bytes that each further peer takes which is connected and idle,
#              after messages both ways, in order and out of order; and the time
#              to make an endpoint
#   --walk     N peers (10000) at half as many addresses again as the device has
#              address handles; messages to and from all in turn, which have to
#              arrive, once, in order, with their data
#   --incast   N senders (1000) to one receiver: how many messages the slowest
#              has got through when the first one, and the median one, is done;
#              fails below half as many as the median
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD_DIR:-$here/build}
peers=
bar=1.3
quick=n
verbose=n
mode=instructions
kinds=(send receive idle seldom arm fence connect)
judged=(send receive idle seldom arm fence)

while [ $# -gt 0 ]; do
    case $1 in
    --peers)   peers=${2:?--peers needs a value}; shift ;;
    --quick)   quick=y ;;
    --bar)     bar=${2:?--bar needs a value}; shift ;;
    --verbose) verbose=y ;;
    --memory|--walk|--incast) mode=${1#--} ;;
    -h|--help) sed -n '2,33s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "scale.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "$peers" ]; then
    peers=10000
    [ "$mode" != incast ] || peers=1000
fi
case $mode:$peers in
instructions:10|instructions:100|instructions:1000|instructions:10000) ;;
instructions:*)
    echo "scale.sh: --peers: 10, 100, 1000 or 10000, not '$peers'" >&2
    exit 2
    ;;
*:*[!0-9]*|*:0*)
    echo "scale.sh: --peers: a number, not '$peers'" >&2
    exit 2
    ;;
esac

program=$build/test/apps/scale
efarun=$build/src/tools/efarun
for file in "$efarun" "$program"; do
    [ -x "$file" ] || {
        echo "scale.sh: $file is missing: make check-programs, or set" \
             "BUILD_DIR" >&2
        exit 1
    }
done
[ "$mode" != instructions ] || command -v valgrind > /dev/null || {
    echo "scale.sh: valgrind is missing: run contrib/install-deps.sh" >&2
    exit 1
}

tmp=$(mktemp -d)
job=
cleanup()
{
    [ -z "$job" ] || kill "$job" 2> /dev/null || true
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# One for us, the others for the peers, which are more than a device has queue
# pairs
devices=16
export SOFTEFA_DEVICES=$devices
export SOFTEFA_LIMITS=${SOFTEFA_LIMITS:-max_qp=4096,max_cq=4096}
export SOFTEFA_FABRIC=${SOFTEFA_FABRIC:-scale-$$}
export UCX_WARN_UNUSED_ENV_VARS=n

# run NAME COMMAND...: its output is in $tmp/out
run()
{
    local name=$1

    shift
    "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null &
    job=$!
    if ! wait $job; then
        job=
        echo "scale.sh: failed with $name:" >&2
        grep -v '^==' "$tmp/err" >&2 || tail -n 20 "$tmp/err" >&2
        exit 1
    fi
    job=
}

soft=("$efarun" --soft --quiet)

# got KIND [FIELD]: of the last such line of the program's output
got()
{
    awk -v kind="$1" -v field="${2:-2}" '$1 == kind { last = $field }
                                         END { print last }' "$tmp/out"
}

memory()
{
    local reorder

    printf '| bytes of a further peer | heap | segment | process | endpoint, ns |\n'
    printf '|---|---:|---:|---:|---:|\n'
    for reorder in 0 16; do
        run "--memory" env SOFTEFA_REORDER=$reorder "${soft[@]}" "$program" \
            memory "$peers"
        printf '| %s | %s | %s | %s | %s |\n' \
               "$([ $reorder = 0 ] && echo "in order" || echo "out of order")" \
               "$(got heap)" "$(got segment)" "$(got process)" \
               "$(got connect)"
    done
}

# The number of processes makes that of addresses: one for each of their devices.
walk()
{
    local limit processes

    limit=$(sed -n 's/.*max_ah=\([0-9]*\).*/\1/p' <<< "$SOFTEFA_LIMITS")
    processes=$(((${limit:-1024} * 3 / 2 + devices - 2) / (devices - 1)))
    run "--walk" "${soft[@]}" "$program" walk "$peers" \
        $(((peers + processes - 1) / processes))
    awk '{ printf "%-14s %8s\n", $1, $2 }' "$tmp/out"
    echo "walk: $(got messages) messages each way, none lost;" \
         "$(got ah_evict) address handles given up"
}

incast()
{
    local moment ratio worst=9

    run "--incast" "${soft[@]}" "$program" incast "$peers"
    for moment in first median; do
        ratio=$(awk -v a="$(got $moment 3)" -v b="$(got $moment 4)" \
                    'BEGIN { printf "%.2f", a / b }')
        echo "when the $moment one is done: slowest $(got $moment 3)," \
             "median $(got $moment 4), ratio $ratio"
        worst=$(printf '%s\n%s\n' "$ratio" "$worst" | sort -n | head -n 1)
    done
    echo "incast: $peers senders $worst"
    awk -v r="$worst" 'BEGIN { exit !(r >= 0.5) }'
}

if [ "$mode" != instructions ]; then
    $mode
    exit
fi

# measure N: "N KIND INSTRUCTIONS" for each kind, of one of them
measure()
{
    local n=$1 part=0 kind count total

    run "$n peers" "${soft[@]}" valgrind --tool=callgrind \
        --toggle-collect='measure_*' --dump-after='end_*' \
        --callgrind-out-file="$tmp/cg.$n" "$program" instructions "$n"
    # callgrind has written a part after each
    while read -r kind count; do
        part=$((part + 1))
        total=$(sed -n 's/^totals: //p' "$tmp/cg.$n.$part")
        echo "$n $kind $((total / count))"
    done < "$tmp/out" >> "$tmp/results"
}

: > "$tmp/results"
numbers=()
for ((n = 1; n <= peers; n *= 10)); do
    if [ $quick = y ] && [ $n != 10 ] && [ $n != "$peers" ]; then
        continue
    fi
    numbers+=("$n")
    echo "scale.sh: $n peers" >&2
    measure "$n"
done

# value N KIND: nothing if the device cannot do that
value()
{
    awk -v n="$1" -v kind="$2" '$1 == n && $2 == kind { print $3 }' \
        "$tmp/results"
}

if [ $verbose = y ]; then
    part=0
    while read -r kind _; do
        part=$((part + 1))
        echo "$kind, $peers peers:"
        callgrind_annotate "$tmp/cg.$peers.$part" 2> /dev/null |
            grep -E '^ *[0-9,]+ ' | head -n 15
    done < "$tmp/out"
fi

printf '| %-8s |' peers
printf ' %8s |' "${kinds[@]}"
printf '\n|----------|'
printf -- '---------:|%.0s' "${kinds[@]}"
printf '\n'
for n in "${numbers[@]}"; do
    printf '| %-8s |' "$n"
    for kind in "${kinds[@]}"; do
        printf ' %8s |' "$(value "$n" "$kind")"
    done
    printf '\n'
done

worst=$(for kind in "${judged[@]}"; do
            few=$(value 10 "$kind")
            many=$(value "$peers" "$kind")
            [ -z "$few" ] || awk -v a="$many" -v b="$few" -v kind="$kind" \
                                 'BEGIN { printf "%.2f %s\n", a / b, kind }'
        done | sort -rn | head -n 1)
echo "instructions for one of each; the worst: ${worst#* }"
echo "scale: N=$peers/N=10 ${worst% *}"
awk -v r="${worst% *}" -v bar="$bar" 'BEGIN { exit !(r <= bar) }'
