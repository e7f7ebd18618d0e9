#!/usr/bin/env bash
# The five cases of docs/debugging.md: programs that run, a fault, and what
# srdtool says of it. Each "show" is a block of the document.
#
#   test/apps/debugging.sh [--update] [CASE...]
#
# --update  writes what was printed into docs/debugging.md
#
# What is between <!-- show NAME --> and <!-- /show --> there is replaced. The
# test wants that the lines of it that matter (the command, and what names the
# cause) are those that are printed today, numbers and times apart.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

SRDTOOL=${SRDTOOL:-$BUILD/src/tools/srdtool}
document=$TOP/docs/debugging.md
update=n
if [ "${1:-}" = --update ]; then
    update=y
    shift
fi

# Files of this run alone: segments, addresses, what was shown
export XDG_RUNTIME_DIR=$TMPDIR/segments UCX_TLS=srd,self UCX_EFA_STATS=y
unset "${!UCX_SRD_@}"
mkdir -p "$XDG_RUNTIME_DIR" "$TMPDIR/address" "$TMPDIR/shown"
chmod 700 "$XDG_RUNTIME_DIR"

declare -A pid=()                # name of a program: its process
declare -A stand_in=()           # its process: its number in the document

# start NAME DEVICE OPTIONS PEERS [VARIABLE=VALUE...]: debug_case, on a device
# of Soft-EFA that plays its host's. NAME.out is what it says.
start()
{
    local name=$1 device=$2 options=$3 peers=$4 number
    shift 4

    rm -f "$TMPDIR/address/$name"
    # shellcheck disable=SC2086 # lists of words
    UCX_NET_DEVICES=efa_$device:1 env "$@" \
        "$EFARUN" --soft --quiet --devices 4 -- "$APPS/debug_case" $options \
        "$TMPDIR/address" "$name" $peers \
        > "$TMPDIR/$name.out" 2>&1 < /dev/null &
    pid[$name]=$!

    # as many digits: columns stay what they are
    number=$((4100 + ${#pid[@]}))
    while [ ${#number} -lt ${#pid[$name]} ]; do
        number=1$number
    done
    stand_in[$!]=$number
}

# counter NAME WHAT: of the program's interface
counter()
{
    local value

    value=$("$SRDTOOL" -j stat show iface pid "${pid[$1]}" 2> /dev/null |
        grep -o "\"$2\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$')
    echo "${value:-0}"
}

# counts NAME WHAT N: more than N of them
counts()
{
    [ "$(counter "$1" "$2")" -gt "$3" ]
}

is_gone()
{
    ! kill -0 "${pid[$1]}" 2> /dev/null
}

# runs NAME WHAT N: waits until its interface has counted more than N of them
runs()
{
    until_true counts "$@" ||
        not_ok "$1 runs" "$2 $(counter "$1" "$2"): $(
            tail -n 1 "$TMPDIR/$1.out")"
}

# quit NAME...: in order, whatever was done to it; as a good program it ends
quit()
{
    local name

    for name in "$@"; do
        kill -CONT "${pid[$name]}" 2> /dev/null
        kill -TERM "${pid[$name]}" 2> /dev/null
    done
    for name in "$@"; do
        if until_true is_gone "$name"; then
            wait "${pid[$name]}" || not_ok "$name ends" "status $?: $(
                tail -n 1 "$TMPDIR/$name.out")"
        else
            not_ok "$name ends" "it does not"
            kill -9 "${pid[$name]}"
        fi
    done
}

# As it is compared: hosts, numbers, times and columns are not the document's,
# nor whether an event came again before it was shown
normal()
{
    sed -E -e 's/\[[^] []+:[0-9]+ *:[0-9]+\]/[HOST]/g' \
        -e 's/ repeats [0-9]+ last [0-9-]+ [0-9:.]+//' \
        -e 's/[0-9a-f:]*:[0-9a-f]{1,4}\/[0-9]+/ADDRESS/g' \
        -e 's/[0-9a-f:]*::[0-9a-f:]+(\/[0-9]+)?/ADDRESS/g' \
        -e 's/[0-9]+(d[0-9]+h|h[0-9]+m|m[0-9]+s)\b/N/g' \
        -e 's/[0-9]+([.:][0-9]+)*( ?(ns|us|ms|s|m|h|d)\b)?/N/g' \
        -e 's/-{2,}/-/g' -e 's/[[:space:]]+/ /g' -e 's/^ | $//g'
}

# Processes by their number in the document, its directories by their names
presentable()
{
    local process script="s,$TMPDIR/segments,\$XDG_RUNTIME_DIR,g"

    for process in "${!stand_in[@]}"; do
        script="$script;s/\\b$process\\b/${stand_in[$process]}/g"
    done
    sed -E -e "$script" -e 's/[[:space:]]+$//'
}

# Of many lines that differ in numbers alone, the first and the last
shortened()
{
    awk '{ line[NR] = kind[NR] = $0
           gsub(/[0-9]+/, "N", kind[NR]) }
         END { for (i = 1; i <= NR; ++i) {
                   if ((NR <= 8) || (kind[i] != kind[i - 2]) ||
                           (kind[i] != kind[i + 1])) {
                       print line[i]
                   } else if (kind[i] != kind[i - 3]) {
                       print "..."
                   }
               } }'
}

# says NAME PATTERN COMMAND...: its output has such a line, now or soon
says()
{
    local pattern=$2
    shift 2

    "$@" > "$TMPDIR/said" 2>&1 < /dev/null
    grep -qE -e "$pattern" "$TMPDIR/said"
}

# in_document NAME: the lines that matter are in its block, in this order
in_document()
{
    awk 'NR == FNR { want[NR] = $0; n = NR; next }
         at < n && $0 == want[at + 1] { ++at }
         END { if (at != n) { print want[at + 1]; exit 1 } }' \
        "$TMPDIR/shown/$1.lines" \
        <(sed -n "/^<!-- show $1 -->/,/^<!-- \/show -->/p" "$document" | normal)
}

# show NAME PATTERN COMMAND...: until it says so
show()
{
    local name=$1 pattern=$2 command missing
    shift 2

    if ! until_true says "$name" "$pattern" "$@"; then
        not_ok "$name" "${*:1:6} never said '$pattern'"
        sed 's/^/    /' "$TMPDIR/said"
        return
    fi

    command="$(basename "$1") ${*:2}"
    [ "$1" != cat ] || command=
    {
        [ -z "$command" ] || echo "\$ $command"
        shortened < "$TMPDIR/said"
    } | presentable > "$TMPDIR/shown/$name"
    {
        [ -z "$command" ] || echo "\$ $command"
        grep -E -e "$pattern" "$TMPDIR/said"
    } | presentable | normal | uniq > "$TMPDIR/shown/$name.lines"

    if [ "$update" = y ] || missing=$(in_document "$name"); then
        ok "$name"
    else
        not_ok "$name" "docs/debugging.md does not have '$missing' (--update)"
    fi
}

# ---- 1: the receiver is stopped ---------------------------------------------

case_stuck_receiver()
{
    local before

    start receiver 1 "" ""
    start sender 0 "" receiver
    runs receiver rx_msgs 1000
    kill -STOP "${pid[receiver]}"
    show stuck-top 'rnr-backoff' "$SRDTOOL" -n 1 -i 0.2 \
        top comm debug_case
    show stuck-ep 'rnr-backoff' "$SRDTOOL" res show ep pid "${pid[sender]}"
    show stuck-event ' rnr ' \
        "$SRDTOOL" event show event rnr pid "${pid[sender]}"
    show stuck-receiver 'stopped .* no-progress-calls' \
        "$SRDTOOL" res show ep pid "${pid[receiver]}"

    before=$(counter receiver rx_msgs)
    kill -CONT "${pid[receiver]}"
    check "the sender goes on" until_true counts receiver rx_msgs "$before"
    quit sender receiver
}

# ---- 2: the peer was killed -------------------------------------------------

# waiting is as patient as one can be, so that it is seen while it waits;
# sender is not, and shows what comes after. It plays on the receiver's host:
# the device there answers for the process that is gone.
case_dead_peer()
{
    start receiver 1 "" ""
    start waiting 0 "" receiver UCX_SRD_GONE_TIMEOUT=1000s
    start sender 1 "" receiver UCX_SRD_GONE_TIMEOUT=100ms UCX_SRD_FAILURE=warn
    runs waiting tx_msgs 100
    runs sender tx_msgs 100
    kill -KILL "${pid[receiver]}"
    wait "${pid[receiver]}" 2> /dev/null

    show dead-ep 'peer-unresponsive' \
        "$SRDTOOL" res show ep pid "${pid[waiting]}"
    show dead-log 'the remote process has exited' cat "$TMPDIR/sender.out"
    show dead-event 'peer-(suspected|failed)' "$SRDTOOL" event show \
        event peer-suspected,peer-failed pid "${pid[sender]}"
    show dead-post-mortem 'gone' \
        "$SRDTOOL" --dead --pid "${pid[receiver]}" res
    quit sender waiting
}

# ---- 3: no address handle left ----------------------------------------------

# Two processes share a device with two handles; one has both.
case_handles()
{
    export SOFTEFA_LIMITS=max_ah=2
    start one 1 "" ""
    start two 2 "" ""
    start three 3 "" ""
    start first 0 "-n 10" "one two"
    runs one rx_msgs 9
    runs two rx_msgs 9
    start second 0 "" one

    show handles-ep 'waits-handshake' \
        "$SRDTOOL" res show ep pid "${pid[second]}"
    show handles-event 'refused' \
        "$SRDTOOL" event show event refused pid "${pid[second]}"
    show handles-res ' ah 2/2 ' "$SRDTOOL" res

    quit first
    check "the handle is free" until_true counts second tx_msgs 100
    quit second

    # One process for itself: what is idle makes room
    start third 0 "" "one two three"
    show handles-evict 'ah_evict' "$SRDTOOL" stat show iface pid "${pid[third]}"
    quit third one two three
    unset SOFTEFA_LIMITS
}

# ---- 4: nobody calls progress -----------------------------------------------

case_no_progress()
{
    start root 1 "" ""
    start worker 0 "-c -n 1 -s 1000000" root
    show progress-root 'waits-handshake' \
        "$SRDTOOL" res show ep pid "${pid[root]}"
    show progress-worker 'no-progress-calls' \
        "$SRDTOOL" res show ep pid "${pid[worker]}"
    kill -USR1 "${pid[worker]}"
    check "the message arrives" \
        until_true grep -q '1000000 bytes: Success' "$TMPDIR/root.out"
    quit worker root
}

# ---- 5: the device is lost --------------------------------------------------

# patient and impatient, as in case 2
case_lost_device()
{
    start receiver 1 "" ""
    start patient 0 "" receiver UCX_SRD_RECOVERY_TIMEOUT=1000s
    start impatient 0 "" receiver UCX_SRD_RECOVERY_TIMEOUT=100ms
    runs patient tx_msgs 100
    runs impatient tx_msgs 100
    check "the device dies" "$EFARUN" --inject 'fatal dev=0'

    show lost-ep 'recovering' "$SRDTOOL" res show ep pid "${pid[patient]}"
    show lost-down ' given-up ' "$SRDTOOL" event show \
        event reset,given-up,peer-failed pid "${pid[impatient]}"
    show lost-log 'did not come back' cat "$TMPDIR/impatient.out"

    check "the device returns" "$EFARUN" --inject 'return dev=0'
    show lost-recovered ' rejoined ' "$SRDTOOL" event show \
        event reset,recovered,rejoined pid "${pid[patient]}"
    quit impatient patient receiver
}

# What a case leaves behind when it is interrupted
end_all()
{
    local process

    for process in $(jobs -p); do
        kill -KILL "$process" 2> /dev/null
    done
    wait 2> /dev/null
    # the next process of the fabric removes what they had
    "$EFARUN" --soft --quiet -- ibv_devices > /dev/null 2>&1
    common_exit
}
trap end_all EXIT

cases=("$@")
if [ ${#cases[@]} = 0 ]; then
    cases=(stuck_receiver dead_peer handles no_progress lost_device)
fi
for name in "${cases[@]}"; do
    pid=()
    stand_in=()
    "case_$name"
done

if [ "$update" = y ]; then
    awk -v dir="$TMPDIR/shown/" '
        /^<!-- show .* -->$/ {
            print
            file = dir $3
            if ((getline line < file) > 0) {
                print "\n```"
                do print line; while ((getline line < file) > 0)
                print "```\n"
                skip = 1
            }
            next
        }
        /^<!-- \/show -->$/ { skip = 0 }
        !skip { print }' "$document" > "$TMPDIR/document" &&
        cp "$TMPDIR/document" "$document"
fi

finish
