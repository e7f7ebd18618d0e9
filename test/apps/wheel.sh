#!/usr/bin/env bash
# The Python wheel: built, installed in virtual environments beside the wheels of
# UCX's and NIXL's authors, and what those send is counted on srd.
#
# Variables: wheel_build.sh. A version without sources, and all where the index of
# packages does not answer, are skipped.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"
# shellcheck source=test/apps/wheel_build.sh
. "$(dirname "$0")/wheel_build.sh"

# UCX of the transport, and version of the package libucx-cu12 with it
versions=(1.15.0=1.15.0.post2 1.16.0=1.16.0.post1 1.17.0=1.17.0 1.18.1=1.18.1
          1.19.1=1.19.0 1.20.1=1.20.1 1.21.0=1.21.0 1.22.0=1.22.0)
# and of nixl-cu12, whose UCX is of before that release
nixl=1.23.0=1.5.1

# index PACKAGE: does the index of packages answer?
index()
{
    limited python3 -m pip download -q --disable-pip-version-check --no-deps \
        -d "$TMPDIR/downloads" "$1" > "$TMPDIR/pip" 2>&1
}

# moved: bytes, by messages and by RDMA, since counters_reset
moved()
{
    echo $(($(counted tx_bytes) + $(counted rdma_read_bytes) +
            $(counted rdma_write_bytes)))
}

# run_perftest NAME PREFIX: of the wheel
run_perftest()
{
    local name=$1 prefix=$2 test size

    for test in "tag_lat 8" "tag_bw 100000" "ucp_put_bw 8000" "ucp_get 8000"; do
        size=${test#* }
        counters_reset
        LD_LIBRARY_PATH=$prefix/lib UCX_TLS=srd,self UCX_RNDV_THRESH=64k \
            pair_run "$TMPDIR" "$venv_efarun" --soft --quiet \
            "$prefix/bin/ucx_perftest" -p @PORT@ -t "${test% *}" -s "$size" \
            -n 500 -w 10 -- -- 127.0.0.1 ||
            not_ok "$name: $test" "$pair_why"
        if [ "$(moved)" -ge $((500 * size)) ]; then
            ok "$name: $test"
        else
            not_ok "$name: $test" "$(moved) bytes on srd"
        fi
    done
}

# run_ucp NAME PREFIX: our own program, on the libraries of the wheel, of an API
# that grows
run_ucp()
{
    local name=$1 prefix=$2 program=$BUILD/test/gtest/test_ucp

    if ! LD_LIBRARY_PATH=$prefix/lib ldd "$program" |
        grep -q "libucp.so.0 => $prefix/lib"; then
        skip "$name: tags, streams" "$program is not of the system's UCX"
        return
    fi

    counters_reset
    if ! LD_LIBRARY_PATH=$prefix/lib UCX_TLS=srd,self limited "$venv_efarun" \
        --soft --quiet "$program" --gtest_filter='*ucp_tag*:*ucp_stream*' \
        > "$TMPDIR/out.txt" 2>&1; then
        not_ok "$name: tags, streams" "$(tail -n 2 "$TMPDIR/out.txt")"
    elif [ "$(moved)" -lt 1000000 ]; then
        not_ok "$name: tags, streams" "$(moved) bytes on srd"
    else
        ok "$name: tags, streams"
    fi
}

# venv PACKAGE...: an environment with these and ours, in $TMPDIR/venv
venv()
{
    rm -rf "$TMPDIR/venv"
    limited python3 -m venv "$TMPDIR/venv" > "$TMPDIR/pip" 2>&1 &&
        limited "$TMPDIR/venv/bin/pip" install -q --disable-pip-version-check \
            --no-deps --find-links "$TMPDIR/downloads" "$@" "$WHEEL" \
            > "$TMPDIR/pip" 2>&1
}

venv_efarun=$TMPDIR/venv/bin/efarun

if ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    skip "the wheel" "no python3 with venv and pip (Debian: python3-venv)"
    finish
fi

trees=()
for entry in "${versions[@]}" "$nixl"; do
    trees+=("${entry%%=*}")
done
wheel_build "${trees[@]}" || finish

# It runs without any other package, and without UCX's
if venv; then
    if [ "$("$venv_efarun" --soft -- sh -c 'exit 7' 2> /dev/null; echo $?)" = 7 ] &&
       "$TMPDIR/venv/bin/srdtool" --version | grep -q '^srdtool '; then
        ok "efarun and srdtool of the wheel run"
    else
        not_ok "efarun and srdtool of the wheel run" \
            "$("$venv_efarun" --soft true 2>&1 | tail -n 1)"
    fi
    # Debian's UCX, for which the wheel is built in any case
    "$venv_efarun" --soft -- ucx_info -d > "$TMPDIR/out.txt" 2> "$TMPDIR/err"
    if grep -q 'Transport: srd' "$TMPDIR/out.txt"; then
        ok "the system's UCX has srd of the wheel"
    else
        not_ok "the system's UCX has srd of the wheel" \
            "$(tail -n 1 "$TMPDIR/err")"
    fi
else
    not_ok "the wheel is installed" "$(tail -n 1 "$TMPDIR/pip")"
    finish
fi

for entry in "${versions[@]}"; do
    name="libucx-cu12 ${entry#*=}"
    if ! wheel_has "${entry%%=*}"; then
        skip "$name" "no sources in $wheel_sources/ucx-${entry%%=*} (UCX_SOURCES)"
        continue
    elif ! index "libucx-cu12==${entry#*=}"; then
        skip "$name" "pip does not get it: $(tail -n 1 "$TMPDIR/pip")"
        continue
    elif ! venv "libucx-cu12==${entry#*=}"; then
        not_ok "$name" "$(tail -n 1 "$TMPDIR/pip")"
        continue
    fi

    prefix=$(echo "$TMPDIR"/venv/lib/python3*/site-packages/libucx)
    # That of some of these wheels crashes on its own
    if (LD_LIBRARY_PATH=$prefix/lib "$prefix/bin/ucx_perftest" -h) \
        > /dev/null 2>&1; then
        run_perftest "$name" "$prefix"
    else
        run_ucp "$name" "$prefix"
    fi
done

name="nixl-cu12 ${nixl#*=}"
if ! wheel_has "${nixl%%=*}"; then
    skip "$name" "no sources in $wheel_sources/ucx-${nixl%%=*} (UCX_SOURCES)"
elif ! index "nixl-cu12==${nixl#*=}" || ! index numpy; then
    skip "$name" "pip does not get it: $(tail -n 1 "$TMPDIR/pip")"
elif ! venv "nixl-cu12==${nixl#*=}" numpy; then
    not_ok "$name" "$(tail -n 1 "$TMPDIR/pip")"
else
    name="$name: read, write, notify"
    for tls in tcp srd; do
        counters_reset
        UCX_TLS=$tls,self limited "$venv_efarun" --soft --quiet \
            "$TMPDIR/venv/bin/python" "$TOP/test/apps/wheel_nixl.py" 10000000 \
            > "$TMPDIR/$tls.txt" 2> "$TMPDIR/err"
    done
    tcp=$(sed -n 's/^ok //p' "$TMPDIR/tcp.txt")
    if ! grep -q '^ok ' "$TMPDIR/srd.txt"; then
        not_ok "$name" "$(tail -n 2 "$TMPDIR/err"); over tcp: ${tcp:-fails, too}"
    elif [ "$(moved)" -lt 20000000 ]; then
        not_ok "$name" "$(moved) bytes on srd"
    elif grep -q '^ucx-efa: ' "$TMPDIR/err"; then
        not_ok "$name" "$(grep '^ucx-efa: ' "$TMPDIR/err")"
    else
        ok "$name ($(sed -n 's/^ok //p' "$TMPDIR/srd.txt") transfers, $(
            moved) bytes on srd; tcp: ${tcp:-fails})"
    fi
fi

finish
