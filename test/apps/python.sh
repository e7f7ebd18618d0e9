#!/usr/bin/env bash
# Python's users of UCX: ucxx (RAPIDS' binding, successor of ucx-py) in each of its
# modes of progress, and Dask on it, with what test/python/requirements.txt pins, on
# our wheel. Bytes are counted on srd, and Dask's results compared with tcp's.
#
# The packages are kept in ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/python-*. Skipped
# where the index of packages does not answer, and without the sources of that UCX
# (UCX_SOURCES: wheel_build.sh).
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"
# shellcheck source=test/apps/wheel_build.sh
. "$(dirname "$0")/wheel_build.sh"

tests=$TOP/test/python
ucx=$(sed -n 's/^libucx-cu12==//p' "$tests/requirements.txt")
python=
efarun=$TMPDIR/ours/bin/efarun

# What UCX needs to say an error soon when a peer is gone; the listener of ucxx
# is tcp's
run=(env "UCX_TLS=srd,self,tcp" UCX_KEEPALIVE_INTERVAL=1s
     UCX_WARN_UNUSED_ENV_VARS=n PYTHONPATH="$TMPDIR/ours" PYTHONWARNINGS=ignore)

# packages: an environment with what is pinned, made once
packages()
{
    local dir version

    version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    dir=${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa
    dir=$dir/python-$version-$(cksum < "$tests/requirements.txt" | cut -d ' ' -f 1)
    mkdir -p "${dir%/*}"
    (
        flock 9
        [ ! -e "$dir/complete" ] || exit 0
        rm -rf "$dir"
        python3 -m venv "$dir" &&
            "$dir/bin/pip" install -q --disable-pip-version-check \
                -r "$tests/requirements.txt" &&
            touch "$dir/complete"
    ) 9> "$dir.lock" > "$TMPDIR/pip" 2>&1 || return
    python=$dir/bin/python
}

# moved: bytes, by messages and by RDMA, since counters_reset
moved()
{
    echo $(($(counted tx_bytes) + $(counted rdma_read_bytes) +
            $(counted rdma_write_bytes)))
}

# run_ucxx MODE TEST BYTES: so many at least go over srd
run_ucxx()
{
    local mode=$1 test=$2 bytes=$3 name="ucxx, $1: $2"

    counters_reset
    if ! limited "${run[@]}" UCXPY_PROGRESS_MODE="$mode" "$efarun" --soft --quiet \
        "$python" "$tests/ucxx_pair.py" "$test" > "$TMPDIR/out.txt" 2>&1; then
        not_ok "$name" "$(grep -vi warning "$TMPDIR/out.txt" | tail -n 1)"
    elif ! grep -q '^ok ' "$TMPDIR/out.txt"; then
        not_ok "$name" "nothing was tested"
    elif [ "$(moved)" -lt "$bytes" ]; then
        not_ok "$name" "$(moved) bytes on srd, not $bytes"
    else
        ok "$name ($(sed -n 's/^ok //p' "$TMPDIR/out.txt" | xargs))"
    fi
}

# idle: a worker in blocking mode takes no more of the processor than over tcp. ucxx
# 0.52 itself polls there: on a machine with nothing else to do, 3 s of 3 s with each.
idle()
{
    local name="ucxx, blocking: idle" tls used=()

    for tls in tcp srd; do
        limited "${run[@]}" UCX_TLS=$tls,tcp,self UCXPY_PROGRESS_MODE=blocking \
            "$efarun" --soft --quiet "$python" "$tests/ucxx_pair.py" idle \
            > "$TMPDIR/out.txt" 2>&1
        used+=("$(sed -n 's/^ok idle: \([0-9.]*\) s .*/\1/p' "$TMPDIR/out.txt")")
    done
    if awk -v tcp="${used[0]}" -v srd="${used[1]}" \
        'BEGIN { exit !(tcp != "" && srd != "" && srd < 2 * tcp + 0.8) }'; then
        ok "$name (${used[1]} s of processor time, tcp ${used[0]} s)"
    else
        not_ok "$name" "'${used[1]}' s of processor time, tcp '${used[0]}' s"
    fi
}

# digest_of COMMAND...: what dask_work.py prints
digest_of()
{
    "$@" > "$TMPDIR/out.txt" 2>&1 < /dev/null &&
        grep -qx ok "$TMPDIR/out.txt" &&
        sed -n 's/^digest //p' "$TMPDIR/out.txt"
}

# same_digest NAME COMMAND...: that of tcp, and bytes of the data on srd
same_digest()
{
    local name=$1 digest
    shift

    counters_reset
    if ! digest=$(digest_of "$@"); then
        not_ok "$name" "$(grep -vi warning "$TMPDIR/out.txt" | tail -n 1)"
    elif [ "$digest" != "$tcp_digest" ]; then
        not_ok "$name" "other results than over tcp"
    elif [ "$(moved)" -lt 10000000 ]; then
        not_ok "$name" "$(moved) bytes on srd"
    else
        ok "$name"
    fi
}

# Scheduler, two workers and a client, each started by hand
separate()
{
    local file=$TMPDIR/scheduler.json jobs=() status=0 job
    local start=("${run[@]}" "$efarun" --soft --quiet "$python" -m)

    rm -f "$file"
    "${start[@]}" distributed.cli.dask_scheduler --protocol ucxx --port 0 \
        --no-dashboard --scheduler-file "$file" > "$TMPDIR/scheduler" 2>&1 &
    jobs+=($!)
    for job in 1 2; do
        "${start[@]}" distributed.cli.dask_worker --protocol ucxx --nthreads 1 \
            --no-dashboard --scheduler-file "$file" --local-directory "$TMPDIR" \
            > "$TMPDIR/worker.$job" 2>&1 &
        jobs+=($!)
    done
    limited "${run[@]}" "$efarun" --soft --quiet "$python" \
        "$tests/dask_work.py" ucxx "$file" || status=$?
    # The client told them to stop
    [ "$status" = 0 ] || kill "${jobs[@]}"
    wait "${jobs[@]}"
    return "$status"
}

if ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    skip "Python" "no python3 with venv and pip (Debian: python3-venv)"
    finish
fi
if [ -z "${WHEEL:-}" ] && [ ! -d "$wheel_sources/ucx-$ucx/src" ]; then
    skip "Python" "no sources of UCX $ucx in $wheel_sources (UCX_SOURCES)"
    finish
fi
if ! packages; then
    skip "Python" "pip does not get it: $(tail -n 1 "$TMPDIR/pip")"
    finish
fi
wheel_build "$ucx" || finish
if ! wheel_has "$ucx"; then
    skip "Python" "$WHEEL has no transport for UCX $ucx"
    finish
fi
check "the wheel is installed" "$python" -m pip install -q \
    --disable-pip-version-check --no-deps --target "$TMPDIR/ours" "$WHEEL" || finish

for mode in blocking polling thread; do
    # there and back
    run_ucxx $mode arrays 570000000
    run_ucxx $mode closed 0
    run_ucxx $mode killed 0
done
run_ucxx thread endpoints 0
idle

if ! tcp_digest=$(digest_of limited "$python" "$tests/dask_work.py" tcp); then
    not_ok "Dask over tcp" "$(tail -n 1 "$TMPDIR/out.txt")"
    finish
fi
same_digest "Dask, a local cluster" limited "${run[@]}" "$efarun" --soft \
    --quiet "$python" "$tests/dask_work.py" ucxx
same_digest "Dask, scheduler and workers of their own" separate

finish
