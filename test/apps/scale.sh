#!/usr/bin/env bash
# Nothing costs more with a thousand peers than with ten: contrib/scale.sh
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need valgrind valgrind

if check "a thousand peers" env BUILD_DIR="$BUILD" "$TOP/contrib/scale.sh" \
         --peers 1000 --quick; then
    sed 's/^/    /' "$TMPDIR/check.out"
fi

finish
