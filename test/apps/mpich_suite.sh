#!/usr/bin/env bash
# A selection of MPICH's own test suite, with MPICH, on srd and reordered, beside
# TCP: what contrib/mpi-suite.sh runs all of. Its source is Debian's, in the cache or
# fetched; skipped where there is none.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/suite_results.sh
. "$(dirname "$0")/suite_results.sh"

status=0
"$TOP/contrib/mpi-suite.sh" --build "$BUILD" --device --reorder \
    --tests "$TOP/test/apps/mpich_suite.tests" --output "$TMPDIR/suite" \
    > "$TMPDIR/out" 2>&1 || status=$?
if [ $status = 3 ]; then
    skip "MPICH's test suite" "$(tail -n 1 "$TMPDIR/out")"
    finish
fi

suite_results "$TMPDIR/suite"
lines=$(grep -cvE '^ *(#|$)' "$TOP/test/apps/mpich_suite.tests")
[ "$count" = "$lines" ] ||
    not_ok "MPICH's test suite" "$count of $lines tests: $(tail -n 1 "$TMPDIR/out")"
finish
