#!/usr/bin/env bash
# contrib/bench.sh --compare: what is counted, and what it says of two commits; the
# raw verbs that bench.sh compares with; its tables and picture
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need valgrind valgrind

here=$TOP
tmp=$TMPDIR
# shellcheck disable=SC2034 # of bench-instructions.sh
program=$APPS/instructions
# shellcheck source=contrib/bench-instructions.sh
. "$TOP/contrib/bench-instructions.sh"

# value NAME:PART: of what was counted
value()
{
    sed -n "s/^$1,[0-9]*,instr,//p" "$tmp/counted.csv"
}

counts()
{
    local operation part count

    rm -f "$tmp/counted.csv"
    instructions_count "$EFARUN" '' "$tmp/counted.csv" || return
    for operation in am_short am_bcopy am_zcopy poll; do
        for part in transport libefa device; do
            count=$(value "$operation:$part")
            # a line is missing, or its function was not found
            awk -v n="$count" 'BEGIN { exit !(n > 5) }' || {
                echo "$operation: $part executes '$count'"
                return 1
            }
        done
    done
    [ "$(value am_short:transport)" != "$(value am_bcopy:transport)" ]
}
check "instructions of each part are counted" counts

# judged LIMIT BEFORE... -- AFTER...: what is said of two counts; each is what
# transport, libefa and device execute
judged()
{
    local limit=$1 file=$tmp/before part
    shift

    rm -f "$tmp/before" "$tmp/after"
    for part in transport libefa device -- transport libefa device; do
        if [ "$1" = -- ]; then
            file=$tmp/after
        else
            echo "am_short:$part,8,instr,$1" >> "$file"
        fi
        shift
    done
    awk -F '[:,]' -v limit="$limit" -f "$TOP/contrib/bench-compare.awk" \
        "$tmp/before" "$tmp/after"
}

# fails WORDS COMMAND...: with status 1, and these words
fails()
{
    local words=$1 status=0
    shift

    "$@" > "$tmp/said" 2>&1 || status=$?
    cat "$tmp/said"
    [ "$status" = 1 ] && grep -q -- "$words" "$tmp/said"
}

check "as before" judged 2 190 470 700 -- 190 470 700
check "fewer" judged 2 190 470 700 -- 90 470 600
check "within the threshold" judged 2 190 470 700 -- 200 470 712
check "moved from one library to another" judged 2 190 470 700 -- 640 0 700
check "3 % more in the transport" \
    fails "transport, ucx and libefa +3" judged 2 190 470 700 -- 210 470 700
check "3 % more in the device" \
    fails "device and libc +3" judged 2 190 470 700 -- 190 470 721
check "3 % more, as announced" judged 5 190 470 700 -- 210 470 721
check "nothing counted" fails "nothing was counted" \
    awk -v limit=2 -f "$TOP/contrib/bench-compare.awk" /dev/null /dev/null

# A clone of its own
here=$tmp/clone
commit()
{
    git -C "$here" -c user.name=test -c user.email=test@localhost \
        -c commit.gpgsign=false commit -q --allow-empty -m "$1"
}

chooses()
{
    local base

    mkdir -p "$here/src"
    git -C "$here" init -q || return
    echo a > "$here/src/a"
    git -C "$here" add src
    commit first
    (compare_base) && return 1          # there is none before
    commit second
    base=$(compare_base) || return
    [ "$base" = HEAD~1 ] || return
    commit $'third\n\nInstructions: +3 % because it is worth it'
    [ "$(compare_base)" = HEAD~1 ] || return
    [ "$(compare_allowed HEAD~1)" = 3 ] || return
    commit $'fourth\n\nInstructions: -20 %'
    commit fifth
    # the fourth is what the next ones are compared with
    [ "$(compare_base)" = "$(git -C "$here" rev-parse HEAD~1)" ] || return
    [ "$(compare_allowed "$(compare_base)")" = 0 ] || return
    commit $'sixth\n\nInstructions: +1.5 % for this'
    [ "$(compare_allowed HEAD~4)" = 4.5 ] || return
    # what is not committed is compared with the newest one
    echo b > "$here/src/a"
    [ "$(compare_base)" = "$(git -C "$here" rev-parse HEAD)" ]
}

unknown()
{
    local status=0

    BUILD_DIR=$BUILD "$TOP/contrib/bench.sh" --compare no-such-commit \
        > "$tmp/said" 2>&1 || status=$?
    cat "$tmp/said"
    [ "$status" = 77 ] && grep -qE 'no-such-commit|no git clone' "$tmp/said"
}
if command -v git > /dev/null; then
    check "the commit to compare with" chooses
    check "a commit that is not here" unknown
else
    skip "the commit to compare with" "git is not installed"
    skip "a commit that is not here" "git is not installed"
fi

# Raw verbs: sends of both kinds, inline and not, more than the queues hold
for bytes in 8 8000; do
    for what in lat bw; do
        if pair_run "$tmp" "$EFARUN" --soft --quiet "$APPS/verbs_msg" efa_0 \
                $what $bytes "$(scaled 1000)" @PORT@ -- -- 127.0.0.1 &&
               grep -qxE '[0-9]+\.[0-9]+' "$tmp/client"; then
            ok "raw verbs, $what of $bytes bytes"
        else
            not_ok "raw verbs, $what of $bytes bytes" \
                "$pair_why: $(cat "$tmp/client")"
        fi
    done
done

# Of three measurements the median is shown, and compared
figures()
{
    local bytes value

    for bytes in 8 8000 1048576 4194304; do
        for value in 1 9 2; do
            echo "ucp_lat,$bytes,us,$value"
            echo "tcp_lat,$bytes,us,${value}0"
            if [ "$bytes" -gt 8928 ]; then
                echo "verbs_read_lat,$bytes,us,$value"
            else
                echo "verbs_lat,$bytes,us,$((2 * value))"
            fi
            echo "ucp_bw,$bytes,MB/s,${value}00"
        done
    done
}

shows()
{
    local bars

    figures > "$tmp/figures"
    awk -F, -v reps=3 -f "$TOP/contrib/bench-median.awk" \
        -f "$TOP/contrib/bench-table.awk" "$tmp/figures" > "$tmp/said"
    cat "$tmp/said"
    tr -s ' ' < "$tmp/said" > "$tmp/words"
    grep -qF '| 8 B | 4.00 (1.00) | 2.00 (0.50) | 20.00 (5.00) |' "$tmp/words" &&
        grep -qF '| 1 MB | 2.00 (1.00) | 2.00 (1.00) | 20.00 (10.00) |' \
             "$tmp/words" || return
    bars=$(grep -cE '[<>]= .*(yes|NO)' "$tmp/words")
    # both latencies over raw verbs, and nothing that was not measured
    [ "$bars" = 2 ] && ! grep -qE 'nan|inf|-1\.00' "$tmp/words"
}
check "tables" shows

draws()
{
    local picture=$tmp/picture.svg

    awk -F, -v reps=3 -v ucx=1 -v libfabric=1 \
        -f "$TOP/contrib/bench-median.awk" \
        -f "$TOP/contrib/bench-picture.awk" "$tmp/figures" > "$picture" || return
    head -n 2 "$picture"
    # latency: srd, tcp, raw verbs, raw RDMA read; bandwidth: srd
    [ "$(grep -c 'class="line ' "$picture")" = 5 ] &&
        [ "$(grep -c '>UCX tcp<' "$picture")" = 1 ] &&
        [ "$(tail -n 1 "$picture")" = "</svg>" ] &&
        ! grep -qE 'nan|inf' "$picture"
}
check "picture" draws

# told SECONDS...: what ucx_info says of srd's latency, ns
told()
{
    UCX_SRD_LATENCY=$1 "$EFARUN" --soft --quiet ucx_info -d 2>&1 |
        sed -n '/Transport: srd/,/Transport:/s/^# *latency: \([0-9]*\) nsec$/\1/p' |
        grep -qx "$2"
}
# that of the device is of its generation: efa1
check "latency that UCX is told: the device's" told 0 15000
check "latency that UCX is told: another one" told 2us 2000

finish
