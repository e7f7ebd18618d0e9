#!/usr/bin/env bash
# run.sh ends what hangs, and nothing that moves, however slowly. Seconds pass as
# this test lets them.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/progress.sh
. "$TOP/test/progress.sh"

log=$TMPDIR/log
files=$TMPDIR/files
mkdir "$files"

# watch LIMIT: whether the process was ended, and after how many ticks
watch()
{
    ticks=0
    ended=n
    : > "$log"
    sleep 100000 &
    process=$!
    progress_watch $process "$1" "$log" "$files" || ended=y
    trap 'exit 1' TERM
    kill $process 2> /dev/null
    wait $process 2> /dev/null
}

# expect NAME ENDED TICKS
expect()
{
    if [ "$ended $ticks" = "$2 $3" ]; then
        ok "$1"
    else
        not_ok "$1" "ended $ended after $ticks ticks, not $2 after $3"
    fi
}

progress_worth()
{
    echo 100
}

progress_tick()
{
    ticks=$((ticks + 1))
    [ $ticks -lt 200 ]
}
watch 20
# the first look has nothing to compare with
expect "what shows nothing is ended" y 21

progress_tick()
{
    ticks=$((ticks + 1))
    [ $((ticks % 20)) != 0 ] || echo "[ RUN ] $ticks" >> "$log"
    [ $ticks -lt 200 ]
}
watch 20
expect "what writes a line now and then is not" n 200

progress_tick()
{
    ticks=$((ticks + 1))
    case $((ticks % 40)) in
    10) echo > "$files/new" ;;
    20) echo more >> "$files/new" ;;
    39) rm "$files/new" ;;
    esac
    [ $ticks -lt 200 ]
}
watch 20
expect "nor what has files that come, grow and go" n 200

# as a segment, into which a program that waits for ever counts
progress_tick()
{
    ticks=$((ticks + 1))
    echo $((ticks % 10)) > "$files/segment"
    [ $ticks -lt 200 ]
}
echo 0 > "$files/segment"
watch 20
expect "a file that is written again is no progress" y 21

progress_tick()
{
    ticks=$((ticks + 1))
    [ $ticks != 5 ] || { kill "$process"; wait "$process" 2> /dev/null; }
}
watch 20
expect "what ends is left alone" n 5

# ---- the whole: a suite that hangs among others

for name in hangs fails; do
    printf '#!/bin/sh\necho "ok began"\n' > "$TMPDIR/$name"
    chmod +x "$TMPDIR/$name"
done
echo 'exec sleep 100000' >> "$TMPDIR/hangs"
echo 'echo "not ok last: for the test"; exit 1' >> "$TMPDIR/fails"
cat > "$TMPDIR/suites" << END
one   plain - $TMPDIR/hangs
two   plain - $TMPDIR/fails
END
TEST_STALL=1 "$TOP/test/run.sh" --build "$BUILD" --suites "$TMPDIR/suites" \
    > "$TMPDIR/out" 2>&1
status=$?
if [ $status = 1 ] && grep -q '^one .*1 ok, 1 failed.* no progress' "$TMPDIR/out" &&
       grep -q '^two .*1 ok, 1 failed' "$TMPDIR/out" &&
       [ "$(tail -n 1 "$TMPDIR/out")" = "2 passed, 2 failed" ]; then
    ok "a suite that hangs is ended and counted"
else
    not_ok "a suite that hangs is ended and counted" \
        "status $status: $(cat "$TMPDIR/out")"
fi
TEST_TIMEOUT=1 "$TOP/test/run.sh" --build "$BUILD" --suites "$TMPDIR/suites" one \
    > "$TMPDIR/out" 2>&1
if grep -q '^one .*1 ok, 1 failed.* not finished after 1 s' "$TMPDIR/out"; then
    ok "so is what takes too long"
else
    not_ok "so is what takes too long" "$(cat "$TMPDIR/out")"
fi
rm -f "$BUILD"/test-logs/{one,two}-plain.log

finish
