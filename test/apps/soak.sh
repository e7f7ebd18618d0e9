#!/usr/bin/env bash
# A short soak: SOAK_SECONDS long (20). contrib/soak.sh is the long one.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2317 # called by check
soak()
{
    "$TOP/contrib/soak.sh" --build "$BUILD" --seconds "${SOAK_SECONDS:-20}" "$@"
}

# Its counts, for whoever reads the log
if check "soak" soak --reorder 16 --kill-every 3 --reset-every 3; then
    sed 's/^/    /' "$TMPDIR/check.out"
fi

finish
