#!/usr/bin/env bash
# A short soak: SOAK_SECONDS long (20), half of it on the direct data path.
# contrib/soak.sh is the long one.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

seconds=${SOAK_SECONDS:-20}
every=3
# No progress for so long is a hang, on any machine
limit=300
if [ "$seconds" -gt 20 ]; then
    # Beside other suites and below them: who has no processor for some seconds
    # is not gone
    export UCX_SRD_GONE_TIMEOUT=10s UCX_SRD_RECOVERY_TIMEOUT=15s
    every=6
fi

soak()
{
    "$TOP/contrib/soak.sh" --build "$BUILD" --seconds $((seconds / 2)) \
        --output "$TMPDIR/soak" "$@"
}

# What the processes said of the fault; and all logs, as TMPDIR does not stay
keep_logs()
{
    local kept=$BUILD/test-logs/soak-logs

    grep -h -E 'unexpected error|hung:|lost:|misordered|corrupted|aborted|awaited' \
        "$TMPDIR"/soak/*.log "$TMPDIR/soak/log" 2> /dev/null |
        head -n 20 | sed 's/^/    /'
    rm -rf "$kept"
    mkdir -p "$BUILD/test-logs"
    cp -r "$TMPDIR/soak" "$kept" && echo "    logs: $kept"
}

# way NAME: with counts, for whoever reads the log
way()
{
    rm -rf "$TMPDIR/soak"
    if check "$1" soak --limit $limit --reorder 16 --kill-every $every \
        --reset-every $every; then
        sed 's/^/    /' "$TMPDIR/check.out"
    else
        keep_logs
    fi
}

UCX_SRD_DIRECT=n way "through libefa"
SOFTEFA_EFADV=y UCX_SRD_DIRECT=y way "direct"

finish
