#!/usr/bin/env bash
# What contrib/scale.sh measures, of fewer peers: nothing costs more with a
# thousand than with ten; more peers than address handles; no sender starves.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need valgrind valgrind

scale()
{
    local name=$1

    shift
    if check "$name" env BUILD_DIR="$BUILD" "$TOP/contrib/scale.sh" "$@"; then
        sed 's/^/    /' "$TMPDIR/check.out"
    fi
}

scale "a thousand peers" --peers 1000 --quick

export SOFTEFA_LIMITS=max_qp=4096,max_cq=4096,max_ah=32
scale "300 peers, 32 address handles" --walk --peers 300
SOFTEFA_LIMITS+=,source_gid=0
scale "the same, of a device that does not tell source GIDs" --walk --peers 300
unset SOFTEFA_LIMITS

scale "64 senders, one receiver" --incast --peers 64

finish
