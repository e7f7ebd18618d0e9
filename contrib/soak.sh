#!/usr/bin/env bash
# Four processes that send, put, get, flush, connect and close at random, are
# killed and lose their device, and a checker that knows what must come out.
#
#   contrib/soak.sh [--minutes M] [--seed S] [OPTIONS]
#
#   --minutes M        how long (1); --seconds S where that is too much
#   --seed S           of everything random (chosen and printed if not given);
#                      what the processes do follows from it, when they do it
#                      does not
#   --ops NAME=W,...   weights of what is done: am 300, tag 200, put 150,
#                      get 150, flush 50, connect 40, close 3
#   --kill-every S     a process is killed every so many seconds, on average (8)
#   --no-kill          none is
#   --reset-every S    a device is reset every so many seconds (9)
#   --no-reset         none is
#   --resets-fail      a reset may end the connections of its device
#   --reorder N        the device holds back N messages: no order (0)
#   --faults PLAN      faults of the device, docs/soft-efa.md:
#                      'status code=13 p=0.001; duplicate p=0.001'
#   --profile P        generation of the device
#   --limit S          no progress for that long is a hang (60)
#   --rss-bound KIB    how much a process may grow after the first 30 seconds
#                      (a quarter of a shorter run) (16384)
#   --output DIR       logs go there and stay; else only if something failed
#   --build DIR        build tree (build, or $BUILD_DIR)
#
# Each process has a device of its own, only srd carries anything. Checked: each
# message's header and content; that none comes twice, too early, or not at all
# once a flush behind it has succeeded; memory that was put and flushed; what
# was got; that an endpoint fails if its peer was killed, once, and no other
# does; that nothing waits longer than --limit and nobody ends by itself; that
# memory does not grow. The last lines are totals; lost, duplicated, misordered,
# corrupted, hung, aborted and unexpected errors must be 0. Status 0: they are.
set -uo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD_DIR:-$here/build}
seconds=60
seed=
kill_every=8
reset_every=9
output=
device=()
options=()

bad()
{
    echo "soak.sh: $*" >&2
    exit 2
}

number()
{
    case ${2:-} in
    ''|*[!0-9]*) bad "$1 needs a number" ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
    -h|--help)     sed -n '2,37s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --no-kill)     kill_every=0; shift; continue ;;
    --no-reset)    reset_every=0; shift; continue ;;
    --resets-fail) options+=(--resets-fail); shift; continue ;;
    esac
    [ $# -gt 1 ] || bad "unknown option '$1', or its value is missing"
    case $1 in
    --minutes)     number "$@"; seconds=$((60 * $2)) ;;
    --seconds)     number "$@"; seconds=$2 ;;
    --seed)        number "$@"; seed=$2 ;;
    --kill-every)  number "$@"; kill_every=$2 ;;
    --reset-every) number "$@"; reset_every=$2 ;;
    --limit)       number "$@"; options+=(--limit "$2") ;;
    --rss-bound)   number "$@"; options+=(--rss-bound "$2") ;;
    --ops)         options+=(--ops "$2") ;;
    --reorder)     number "$@"; device+=("--reorder=$2") ;;
    --faults)      device+=(--faults "$2") ;;
    --profile)     device+=(--profile "$2") ;;
    --output)      output=$2 ;;
    --build)       build=$2 ;;
    *) bad "unknown option '$1' (try --help)" ;;
    esac
    shift 2
done
seed=${seed:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}

build=$(cd "$build" 2> /dev/null && pwd) || bad "no build tree '$build'"
efarun=$build/src/tools/efarun
soak=$build/test/apps/soak
[ -x "$efarun" ] || bad "$efarun is missing: run contrib/demo.sh first, or" \
                        "say --build"
[ -x "$soak" ] || bad "$soak is missing: make check-programs there"

keep=y
if [ -z "$output" ]; then
    output=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-soak.XXXXXX") || exit 2
    keep=n
fi
mkdir -p "$output" || exit 2
output=$(cd "$output" && pwd)
[ ! -e "$output/log" ] || bad "$output has the log of another soak"
mkdir -p "$output/segments"
chmod 700 "$output/segments"

# A fabric of its own: nobody else's device is reset, and what is left goes
export SOFTEFA_FABRIC=soak-$$
export UCX_TLS=srd,self
export UCX_KEEPALIVE_INTERVAL=${UCX_KEEPALIVE_INTERVAL:-2s}
export UCX_EFA_STATS=keep XDG_RUNTIME_DIR=$output/segments
export UCX_WARN_UNUSED_ENV_VARS=n

job=
cleanup()
{
    if [ -n "$job" ]; then
        kill "$job" 2> /dev/null
        wait "$job" 2> /dev/null
    fi
    rm -rf "/dev/shm/softefa.$(id -u).$SOFTEFA_FABRIC"
    [ "$keep" = y ] || rm -rf "$output"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

echo "soak.sh: seed $seed, $seconds s, output in $output"
# The conductor watches the processes; timeout watches the conductor
timeout -k 10 $((seconds + 600)) \
    "$efarun" --soft --quiet --devices 4 --seed "$((seed % 1000000))" \
    ${device[@]+"${device[@]}"} -- \
    "$soak" --dir "$output" --efarun "$efarun" --seconds "$seconds" \
    --seed "$seed" --kill-every "$kill_every" --reset-every "$reset_every" \
    ${options[@]+"${options[@]}"} &
job=$!
wait "$job"
status=$?
job=
if [ $status != 0 ]; then
    keep=y
    echo "soak.sh: failed with status $status; logs in $output; again with:" \
         "--seed $seed"
fi
exit $status
