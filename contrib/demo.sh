#!/usr/bin/env bash
# One command from a clone to SRD: installs what is missing, builds, and runs
# UCX's own benchmark, an MPI and an OpenSHMEM program over SRD queue pairs, on
# the EFA device of this machine or on Soft-EFA.
#
#   contrib/demo.sh [--soft] [--installed] [--python | --java]
#
#   --soft       Soft-EFA even if there is a device
#   --installed  with the efarun and srdtool that are in PATH, from a package or
#                a Python wheel. Nothing is installed or built but the small MPI
#                and OpenSHMEM programs; what is not there is skipped
#   --python     ucxx and Dask instead, with the packages of the Python in PATH
#                (PYTHON), and the wheel of ucx-efa if that has it
#   --java       a JUCX program instead; needs a JDK, and Maven, which fetches JUCX
#
# UCX, libibverbs and libefa are those of the distribution, unmodified. UCX may
# use no other transport (UCX_TLS=srd,self), and the transport's counters must
# cover every byte that the programs sent.
set -euo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/pair.sh
. "$top/test/apps/pair.sh"
# shellcheck source=contrib/demo-python.sh
. "$top/contrib/demo-python.sh"
# shellcheck source=contrib/demo-java.sh
. "$top/contrib/demo-java.sh"
build=${BUILD_DIR:-$top/build}

options=(--quiet)
installed=n
only=
while [ $# -gt 0 ]; do
    case $1 in
    --soft)      options+=(--soft) ;;
    --installed) installed=y ;;
    --python)    only=python ;;
    --java)      only=java ;;
    -h|--help)   sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown option '$1' (try --help)" >&2; exit 2 ;;
    esac
    shift
done

fail()
{
    echo "demo.sh: $*" >&2
    exit 1
}

if [ "$only" = python ] && [ $installed = n ] && tools=$(python_tools); then
    efarun=$tools/efarun
    srdtool=$tools/srdtool
elif [ $installed = n ]; then
    setup_packages demo
    build_tree "$build"
    quietly "$build/make-apps.log" make -C "$build/test/apps" check-programs
    efarun=$build/src/tools/efarun
    srdtool=$build/src/tools/srdtool
else
    for tool in efarun srdtool; do
        command -v $tool > /dev/null ||
            fail "$tool is not in PATH: install the packages of ucx-efa" \
                "(Debian: ucx-efa, ucx-efa-tools), or activate the" \
                "environment that has its wheel"
    done
    efarun=$(command -v efarun)
    srdtool=$(command -v srdtool)
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-demo.XXXXXX")
cleanup()
{
    pair_end
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

efarun=("$efarun" "${options[@]}")
export SOFTEFA_FABRIC=demo-$$
export UCX_TLS=srd,self
# Every process leaves its stats segment there
export UCX_EFA_STATS=keep XDG_RUNTIME_DIR=$work/segments
mkdir "$XDG_RUNTIME_DIR"

# counted NAME: sum of one counter over all processes of this run
counted()
{
    local file total=0 value

    for file in "$XDG_RUNTIME_DIR"/ucx-efa.*; do
        [ -e "$file" ] || fail "no process left a stats segment"
        value=$("$srdtool" -d --file "$file" stat show iface |
            awk -v name="$1" '$1 == name { sum += $2 } END { printf "%.0f", sum }')
        total=$((total + value))
    done
    echo $total
}

# row TEST RESULT BYTES: prints it with the transport's counters. Bytes leave and
# arrive as messages, or move by RDMA, which the requester counts: the receiver
# of a rendezvous.
row()
{
    local rdma tx rx verdict

    rows=$((rows + 1))
    rdma=$(($(counted rdma_read_bytes) + $(counted rdma_write_bytes)))
    tx=$(($(counted tx_bytes) + rdma))
    rx=$(($(counted rx_bytes) + rdma))
    verdict="all"
    if [ "$tx" -lt "$3" ] || [ "$rx" -lt "$3" ]; then
        verdict="NOT ALL"
        failed=y
    fi
    [ $rdma = 0 ] || verdict="$verdict, $((rdma * 100 / tx)) % by RDMA"
    printf '%-26s %-14s %13s %13s   %s\n' "$1" "$2" "$3" "$tx" "$verdict"
    rm -f "$XDG_RUNTIME_DIR"/ucx-efa.*
}

# perftest TEST SIZE COUNT: runs it in two processes, prints the last line
perftest()
{
    pair_run "$work" "${efarun[@]}" "${perftest[@]}" -f -t "$1" -s "$2" \
        -n "$3" -w 0 -p @PORT@ -- -- 127.0.0.1 || {
        cat "$work/server" "$work/client" >&2
        fail "ucx_perftest failed: $pair_why"
    }
    tail -n 1 "$work/client"
}

# program NAME PACKAGE: is it there? Otherwise its row says so.
program()
{
    command -v "$1" > /dev/null && return
    missing "$2"
    return 1
}

# missing WHAT: says that the row is not there, and why
missing()
{
    printf '%-26s skipped: no %s\n' "$name" "$1"
    skipped=$((skipped + 1))
    [ $installed = y ] || failed=y
}

# app NAME COMPILER: sets app, the program; false: there is none, said why
app()
{
    app=$build/test/apps/$1
    if [ $installed = y ]; then
        app=$work/$1
        "$2" -std=gnu11 -O2 -o "$app" "$top/test/apps/${1%.*}.c" \
            > "$work/compiler" 2>&1 || {
            missing "compiler: $2 says:"
            cat "$work/compiler"
            return 1
        }
    fi
    [ -x "$app" ] || {
        missing "$app"
        return 1
    }
}

# verdict: the end
verdict()
{
    echo
    if [ $failed = y ]; then
        fail "some bytes did not go over SRD, or a program is missing (see above)"
    fi
    [ $rows -gt 0 ] || fail "there is no program to run (see above)"
    [ $skipped = 0 ] || echo "$skipped skipped (see above)."
    echo "Every byte went over SRD. Next: efarun --help, docs/running.md," \
         "contrib/check.sh"
}

# Debian's names; elsewhere it has the plain ones
mpi=.openmpi
command -v mpicc.openmpi > /dev/null || ! command -v ompi_info > /dev/null ||
    mpi=
mpicc=mpicc$mpi
mpirun=mpirun$mpi

failed=n
rows=0
skipped=0
# The line of efarun that says which device it uses
step "run: $("${efarun[0]}" "${options[@]:1}" true 2>&1)"
echo
printf '%-26s %-14s %13s %13s\n' "" "" "bytes sent by" "bytes counted"
printf '%-26s %-14s %13s %13s   %s\n' "program" "result" "the program" \
    "by srd" "over SRD"

if [ -n "$only" ]; then
    "${only}_rows"
    verdict
    exit
fi

name="ucx_perftest"
if program ucx_perftest "ucx_perftest in PATH (Debian: ucx-utils)"; then
    perftest_find
    count=20000
    for size in 8 1024 8000; do
        result=$(perftest tag_lat $size $count)
        # iterations, then the median, average and overall latency
        row "ucx_perftest tag_lat $size" \
            "$(echo "$result" | awk '{ printf "%.2f us", $2 }')" \
            $((2 * size * count))
    done
    for size in 8000 65536 1048576; do
        count=$((size < 1000000 ? 20000 : 2000))
        result=$(perftest tag_bw $size $count)
        row "ucx_perftest tag_bw $size" \
            "$(echo "$result" | awk '{ printf "%.0f MB/s", $6 }')" \
            $((size * count))
    done
fi

# mpirun and oshrun have the same options
launch=(--oversubscribe -np 2 --mca pml ucx --mca btl '^vader,tcp,openib'
        --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any)
[ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)

name="Open MPI, two ranks"
if program "$mpicc" "$mpicc (Debian: libopenmpi-dev)" &&
       program "$mpirun" "$mpirun (Debian: openmpi-bin)" &&
       app mpi_pingpong.openmpi "$mpicc"; then
    "$mpirun" "${launch[@]}" "${efarun[@]}" "$app" > "$work/mpi" 2>&1 \
        < /dev/null || {
        cat "$work/mpi" >&2
        fail "the Open MPI program failed"
    }
    bytes=$(sed -n 's/^payload //p' "$work/mpi")
    [ -n "$bytes" ] || { cat "$work/mpi" >&2; fail "no result from Open MPI"; }
    row "$name" \
        "$(awk '$1 == 8 { printf "%.2f us", $2 }' "$work/mpi")" "$bytes"
    awk '$1 ~ /^[0-9]+$/ { printf "    %8d B %10.2f us %10.1f MB/s\n", $1, $2, $3 }' \
        "$work/mpi"
fi

name="OpenSHMEM, two PEs"
if program oshcc "oshcc (Debian: libopenmpi-dev)" &&
       program oshrun "oshrun (Debian: openmpi-bin)" &&
       app shmem_pingpong.oshmem oshcc; then
    # The last option: docs/running.md
    oshrun "${launch[@]}" --mca opal_common_ucx_opal_mem_hooks 0 \
        "${efarun[@]}" "$app" 5000 \
        > "$work/shmem" 2>&1 < /dev/null || {
        cat "$work/shmem" >&2
        fail "the OpenSHMEM program failed"
    }
    bytes=$(sed -n 's/^payload //p' "$work/shmem")
    [ -n "$bytes" ] || { cat "$work/shmem" >&2; fail "no result from OpenSHMEM"; }
    row "$name" \
        "$(awk '$1 == 8 && NF == 4 { printf "%.2f us", $2 }' "$work/shmem")" \
        "$bytes"
    awk '$1 ~ /^[0-9]+$/ && $4 ~ /^[0-9.]+$/ {
        printf "    %8d B %10.2f us %10.1f MB/s put %10.1f MB/s get\n",
               $1, $2, $3, $4 }' "$work/shmem"
fi

verdict
