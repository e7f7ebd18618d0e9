#!/usr/bin/env bash
# Python's users of UCX: ucxx (RAPIDS' binding, successor of ucx-py) in each of its
# modes of progress, and Dask on it, with what test/python/requirements.txt pins, on
# our wheel. Bytes are counted on srd, and Dask's results compared with those over
# Dask's own tcp. PYTHON_TCP=y runs all of ucxx over UCX's tcp as well, otherwise
# only what fails on srd, and "idle": what fails over tcp, too, is skipped.
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

# value NAME TLS: what a program of test/python printed so
value()
{
    sed -n "s/^$1 //p" "$TMPDIR/$2.txt"
}

# pair TLS MODE TEST...: what ucxx_pair.py says is in $TMPDIR/TLS.txt
pair()
{
    local tls=$1 mode=$2 ours=()

    [ "$tls" = tcp ] || ours=("$efarun" --soft --quiet)
    limited "${run[@]}" UCX_TLS="$tls,tcp,self" UCXPY_PROGRESS_MODE="$mode" \
        ${ours[@]+"${ours[@]}"} "$python" "$tests/ucxx_pair.py" "${@:3}" \
        > "$TMPDIR/$tls.txt" 2>&1
}

# verdict TLS TEST: what it said of one test, or what ended it
verdict()
{
    grep -E "^(ok|failed) $2: " "$TMPDIR/$1.txt" ||
        echo "failed $2: $(grep -vi warning "$TMPDIR/$1.txt" | tail -n 1)"
}

# ucxx MODE TEST...: each over srd; over tcp, too, if that is wanted
ucxx()
{
    local mode=$1 test name srd tcp bytes
    shift

    counters_reset
    pair srd "$mode" "$@"
    bytes=$(moved)
    [ "${PYTHON_TCP:-n}" = n ] || pair tcp "$mode" "$@"
    for test in "$@"; do
        name="ucxx, $mode: $test"
        srd=$(verdict srd "$test")
        if [ "$test" = arrays ] && [ "$bytes" -lt "$(value payload srd)" ]; then
            srd="failed arrays: $bytes bytes on srd"
        fi
        tcp=
        if [ "${PYTHON_TCP:-n}" != n ]; then
            tcp=$(verdict tcp "$test")
        elif [ "$test" = idle ] || [ "${srd%% *}" = failed ]; then
            pair tcp "$mode" "$test"
            tcp=$(verdict tcp "$test")
        fi
        [ "$test" != idle ] || srd=$(idle "$srd" "$tcp")
        count srd "${srd%% *}"
        [ -z "$tcp" ] || count tcp "${tcp%% *}"
        case $srd,$tcp in
        ok*)       ok "$name (${srd#*: }${tcp:+; tcp: ${tcp#*: }})" ;;
        *,failed*) skip "$name" "fails over tcp, too: ${tcp#*: }" ;;
        *)         not_ok "$name" "${srd#*: }" ;;
        esac
    done
}

# idle SRD TCP: verdict of srd: it takes no more of the processor than tcp. ucxx 0.52
# itself polls in blocking mode: up to 3 s of 3 s with each.
idle()
{
    local seconds='s/^ok idle: \([0-9.]*\) s .*/\1/p'

    if awk -v srd="$(sed -n "$seconds" <<< "$1")" \
        -v tcp="$(sed -n "$seconds" <<< "$2")" \
        'BEGIN { exit !(srd == "" || tcp == "" || srd < 2 * tcp + 0.8) }'; then
        echo "$1"
    else
        echo "failed idle: ${1#*: }, over tcp ${2#*: }"
    fi
}

# count TLS ok|failed: for the last line
declare -A passed=([srd]=0 [tcp]=0) all=([srd]=0 [tcp]=0)
count()
{
    all[$1]=$((all[$1] + 1))
    [ "$2" != ok ] || passed[$1]=$((passed[$1] + 1))
}

# cluster PROTOCOL COMMAND...: Dask's LocalCluster
cluster()
{
    limited "${@:2}" "$tests/dask_work.py" "$1"
}

# separate PROTOCOL COMMAND...: scheduler, two workers and a client, each started by
# hand. All end by themselves, when the client says so
separate()
{
    local protocol=$1 file=$TMPDIR/scheduler.json jobs=() status=0 job
    shift

    rm -f "$file"
    "$@" -m distributed.cli.dask_scheduler --protocol "$protocol" --port 0 \
        --no-dashboard --scheduler-file "$file" > "$TMPDIR/scheduler" 2>&1 &
    jobs+=($!)
    for job in 1 2; do
        "$@" -m distributed.cli.dask_worker --protocol "$protocol" --nthreads 1 \
            --no-dashboard --scheduler-file "$file" --local-directory "$TMPDIR" \
            > "$TMPDIR/worker.$job" 2>&1 &
        jobs+=($!)
    done
    limited "$@" "$tests/dask_work.py" "$protocol" "$file" || status=$?
    # The client told them to stop
    [ "$status" = 0 ] || kill "${jobs[@]}"
    for job in "${jobs[@]}"; do
        wait "$job" || status=$?
    done
    cat "$TMPDIR"/worker.?
    return "$status"
}

# dask NAME START: over Dask's own tcp, then over ucxx on srd. START is a function
dask()
{
    local name="Dask, $1" start=$2 srd=failed tcp=failed

    if $start tcp env PYTHONWARNINGS=ignore "$python" > "$TMPDIR/tcp.txt" 2>&1; then
        tcp=ok
    fi
    count tcp $tcp
    counters_reset
    if ! $start ucxx "${run[@]}" "$efarun" --soft --quiet "$python" \
        > "$TMPDIR/srd.txt" 2>&1; then
        not_ok "$name" "$(grep -vi warning "$TMPDIR/srd.txt" | tail -n 1)"
    elif [ $tcp = failed ]; then
        skip "$name" "fails over tcp, too: $(tail -n 1 "$TMPDIR/tcp.txt")"
    elif [ -z "$(value digest srd)" ] ||
             [ "$(value digest srd)" != "$(value digest tcp)" ]; then
        not_ok "$name" "other results than over tcp"
    elif [ "$(moved)" -lt "$(value payload srd)" ]; then
        not_ok "$name" "$(moved) bytes on srd"
    else
        # On a busy machine Dask kills its workers after 4 s, over tcp as well
        srd=ok
        ok "$name ($(moved) bytes on srd; shutdown $(value shutdown srd) s, tcp: $(
            value shutdown tcp) s)"
    fi
    count srd $srd
}

if ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    skip "Python" "no python3 with venv and pip (Debian: python3-venv)"
    finish
fi
# demo.sh --python names what this Python has not: all, as there is no package in it
python3 -m venv --without-pip "$TMPDIR/bare" > /dev/null 2>&1
PATH=$BUILD/src/tools:$PATH PYTHON=$TMPDIR/bare/bin/python \
    "$TOP/contrib/demo.sh" --soft --python --installed > "$TMPDIR/out.txt" 2>&1
if [ "$(grep -c "skipped: no .* in .*/bare/bin/python: pip install " "$TMPDIR/out.txt")" = 2 ]
then
    ok "demo.sh --python says what to install"
else
    not_ok "demo.sh --python says what to install" "$(tail -n 3 "$TMPDIR/out.txt")"
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
    ucxx $mode arrays closed killed
done
ucxx thread endpoints
ucxx blocking idle
dask "a local cluster" cluster
dask "scheduler and workers of their own" separate

for tls in srd tcp; do
    echo "    over $tls: ${passed[$tls]} passed, $((all[$tls] - passed[$tls])) failed"
done
finish
