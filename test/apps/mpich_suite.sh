#!/usr/bin/env bash
# A selection of MPICH's own test suite, with MPICH, on srd and reordered, beside
# TCP: what contrib/mpi-suite.sh runs all of. Its source is Debian's, in the cache or
# fetched; skipped where there is none.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

status=0
"$TOP/contrib/mpi-suite.sh" --build "$BUILD" --device --reorder \
    --tests "$TOP/test/apps/mpich_suite.tests" --output "$TMPDIR/suite" \
    > "$TMPDIR/out" 2>&1 || status=$?
if [ $status = 3 ]; then
    skip "MPICH's test suite" "$(tail -n 1 "$TMPDIR/out")"
    finish
fi

# one file a test: label, over srd, why, messages, bytes, over tcp, why
for file in "$TMPDIR"/suite/results/*; do
    [ -e "$file" ] || break
    IFS=$'\037' read -r label srd why messages _ tcp tcp_why < "$file"
    if [ "$srd" = skipped ]; then
        skip "$label" "$why"
    elif [ "$srd" != passed ] && [ "$tcp" = passed ]; then
        not_ok "$label" "$why"
    elif [ "$srd" != passed ]; then
        skip "$label" "fails over tcp, too: ${tcp_why%$'\037'}"
    elif [ "$messages" = 0 ]; then
        not_ok "$label" "sent nothing over srd"
    else
        ok "$label"
    fi
done
lines=$(grep -cvE '^ *(#|$)' "$TOP/test/apps/mpich_suite.tests")
count=$(find "$TMPDIR/suite/results" -type f 2> /dev/null | wc -l)
[ "$count" = "$lines" ] ||
    not_ok "MPICH's test suite" "$count of $lines tests: $(tail -n 1 "$TMPDIR/out")"
finish
