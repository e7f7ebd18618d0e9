#!/usr/bin/env bash
# Open MPI's OpenSHMEM examples, from Debian's source package, over srd beside TCP;
# with SHMEM_SUITE=DIR the suite in that directory: contrib/shmem-suite.sh, which
# knows some. Skipped where the source package cannot be had.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/suite_results.sh
. "$(dirname "$0")/suite_results.sh"

status=0
"$TOP/contrib/shmem-suite.sh" --build "$BUILD" --output "$TMPDIR/suite" \
    ${SHMEM_SUITE:+--suite-src "$SHMEM_SUITE"} > "$TMPDIR/out" 2>&1 ||
    status=$?
if [ $status = 3 ]; then
    skip "OpenSHMEM's suite" "$(tail -n 1 "$TMPDIR/out")"
    finish
fi

suite_results "$TMPDIR/suite"
[ $count -ge 5 ] ||
    not_ok "OpenSHMEM's suite" "$count tests: $(tail -n 1 "$TMPDIR/out")"
finish
