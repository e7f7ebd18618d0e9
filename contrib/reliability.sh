#!/usr/bin/env bash
# Makes the fault matrix of docs/reliability.md anew.
#
#   contrib/reliability.sh BUILD
#
# BUILD: a build tree with its test programs (make check-programs). Runs every
# fault of the matrix against every operation, and puts the table between the
# markers in the document, with date, library and command. Ends with the status
# of the test; the document is changed only when it passed.
set -uo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "${1:?usage: contrib/reliability.sh BUILD}" && pwd) || exit 2
doc=$top/docs/reliability.md
log=$(mktemp)
trap 'rm -f "$log"' EXIT

export TEST_MATRIX=full
export SOFTEFA_FABRIC=reliability-$$
timeout 21600 "$build/src/tools/efarun" --soft --quiet -- \
    "$build/test/gtest/test_uct" --gtest_filter='matrix_test.*' > "$log" 2>&1
status=$?
if [ $status != 0 ]; then
    grep -v '^|' "$log" | tail -n 30 >&2
    grep '^|' "$log" | awk -F'|' '$8 + $9 + $10 + $11 + $12 != 0' >&2
    echo "reliability.sh: the test failed, $doc stays" >&2
    exit $status
fi

ucx=$(sed -n 's/^UCX_VERSION = //p' "$build/Makefile")
{
    sed '/^<!-- matrix -->$/q' "$doc"
    echo
    echo "\`contrib/reliability.sh BUILD\`, $(date -u +%F), UCX $ucx," \
         "commit $(git -C "$top" rev-parse --short HEAD):"
    echo
    grep '^|' "$log"
    echo
    sed -n '/^<!-- \/matrix -->$/,$p' "$doc"
} > "$log.new" && mv "$log.new" "$doc"
grep -c '^|' "$log" | sed 's/$/ lines of table in docs\/reliability.md/'
