#!/usr/bin/env bash
# The EFA, SRD and general verbs tests that rdma-core's authors wrote, from the
# Debian package of the installed version (python3-pyverbs carries them as
# documentation), over Soft-EFA. A test they skip is a skip here, not a pass;
# of the EFA and SRD tests none may be skipped: they run on the generations that
# have all that they ask for.
#
#   RDMA_CORE        sources of rdma-core, to test in place of the installed one:
#                    its libraries, pyverbs and tests. Needs what its README.md
#                    says, and Cython
#   RDMA_CORE_BUILD  where they are built, kept for the next time (default:
#                    rdma-core in the build tree)
#   PYTHON           an interpreter with Cython (default: /usr/bin/python3)
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# The distribution's interpreter: its packages are for no other.
python=${PYTHON:-/usr/bin/python3}
libs=
modules=

# build_tree SOURCES DIR: libraries and pyverbs, used where they are built
build_tree()
{
    mkdir -p "$2" &&
        cmake -S "$1" -B "$2" -DIN_PLACE=1 -DNO_MAN_PAGES=1 \
            -DCMAKE_BUILD_TYPE=Release -DPYTHON_EXECUTABLE="$python" \
            > "$2/log" 2>&1 < /dev/null &&
        cmake --build "$2" -j "$(nproc)" > "$2/log" 2>&1 < /dev/null
}

# uapi TREE: our copy of the kernel's interface beside its headers
uapi()
{
    g++ -std=c++17 -fsyntax-only -isystem "$1/kernel-headers" -I"$TOP/src" \
        -I"$TOP/src/softefa" \
        -DTEST_TOP_SRCDIR="\"$TOP\"" "$TOP/test/gtest/unit/test_abi.cc"
}

if [ -n "${RDMA_CORE:-}" ]; then
    build=${RDMA_CORE_BUILD:-$BUILD/rdma-core}
    need cmake cmake
    if [ ! -r "$RDMA_CORE/providers/efa/efadv.h" ]; then
        not_ok "RDMA_CORE" "$RDMA_CORE has no sources of rdma-core"
        finish
    fi
    check "RDMA_CORE: the kernel's interface" uapi "$RDMA_CORE"
    if ! build_tree "$RDMA_CORE" "$build"; then
        not_ok "RDMA_CORE" "not built, log: $build/log"
        finish
    elif [ ! -d "$build/python/pyverbs" ]; then
        not_ok "RDMA_CORE" "built without pyverbs: $python has no Cython (PYTHON)"
        finish
    fi
    libs=$build/lib
    modules=$build/python
fi

if ! LD_LIBRARY_PATH=$libs PYTHONPATH=$modules "$python" -c 'import pyverbs.device' 2>/dev/null; then
    not_ok "pyverbs" "not installed: apt-get install python3-pyverbs"
    finish
fi

# fetch DIR: the tests where documentation was left out of the installation
fetch_tests()
{
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa version

    version=$(dpkg-query -W -f '${Version}' python3-pyverbs) || return 1
    if [ ! -d "$cache/pyverbs-$version" ]; then
        (
            mkdir -p "$TMPDIR/deb" && cd "$TMPDIR/deb" &&
                apt-get download "python3-pyverbs=$version" &&
                dpkg-deb -x python3-pyverbs_*.deb "$TMPDIR/deb/x" &&
                mkdir -p "$cache" &&
                mv "$TMPDIR/deb/x/usr/share/doc/rdma-core/tests" \
                    "$cache/pyverbs-$version"
        ) >"$TMPDIR/fetch" 2>&1 || return 1
    fi
    tests=$cache/pyverbs-$version
}

tests=/usr/share/doc/rdma-core/tests
if [ -n "${RDMA_CORE:-}" ]; then
    tests=$RDMA_CORE/tests
elif [ ! -e $tests/test_efa_srd.py.gz ] && ! fetch_tests; then
    not_ok "pyverbs' tests" "not installed, and apt-get download failed: $(tail -n 1 "$TMPDIR/fetch")"
    finish
fi

mkdir -p "$TMPDIR/pyverbs" && cp -r "$tests" "$TMPDIR/pyverbs/tests" &&
    find "$TMPDIR/pyverbs/tests" -name "*.gz" -exec gunzip -f {} +

# Those of rdma-core 56 ask the kernel for the network interface of a device, by
# iproute2's rdma, and go on without one.
mkdir -p "$TMPDIR/bin"
printf '#!/bin/sh\necho "[]"\n' > "$TMPDIR/bin/rdma"
chmod +x "$TMPDIR/bin/rdma"
PATH=$TMPDIR/bin:$PATH

# run_tests NAME PROFILE ARGUMENTS
run_tests()
{
    local name=$1 profile=$2 status=0
    shift 2

    (
        cd "$TMPDIR/pyverbs" &&
            LD_LIBRARY_PATH=$libs \
                PYTHONPATH=$modules:$TMPDIR/pyverbs:$TMPDIR/pyverbs/tests \
                "$EFARUN" --soft --profile="$profile" --quiet \
                "$python" "$TOP/test/apps/softefa-pyverbs.py" \
                --label "$profile" "$@"
    ) >"$TMPDIR/out" 2>"$TMPDIR/err" || status=$?
    add_results "$TMPDIR/out"
    # 0: all passed or skipped, 1: some failed, each with a line of its own
    if [ $status -gt 1 ] || ! grep -q '^ok ' "$TMPDIR/out"; then
        not_ok "$name" "python3 ended with status $status"
        sed 's/^/    /' "$TMPDIR/err"
    fi
}

for profile in efa2 efa4; do
    run_tests "EFA and SRD on $profile" $profile --no-skip test_efadv \
        test_efa_srd
done
# Not for this device: RC, UC, XRC and raw QPs, memory windows, device memory,
# dmabufs of a GPU, registering again, RoCE.
absent='_rc(_|$)|_uc_|_xrc_|_raw_|roce|rereg|resize|MWTest|DMTest|DmaBuf'
absent="$absent|DeviceMemory|huge_page|mem_align|imported_rc"
run_tests "general verbs" efa1 --except "$absent" test_device test_pd test_mr \
    test_cq test_cqex test_cq_events test_qp test_qpex test_addr \
    test_shared_pd test_fork test_parent_domain test_relaxed_ordering

finish
