#!/usr/bin/env bash
# contrib/bench.sh --compare: what is counted, and what it says of two commits
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

finish
