#!/usr/bin/env bash
# mpi4py's own tests over srd and, in the same run, over UCX's tcp, with Open MPI
# and MPICH of the distribution: what passes over tcp passes over srd.
#
#   MPI4PY=all   all of its tests, file by file, by which a test that ends its process
#                ends only its own file's (default: a selection)
#
# mpi4py and its tests are PyPI's source package of the version in
# test/python/mpi4py.txt, built with each MPI, as its wheel takes whichever MPI it
# finds first. Kept in ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/mpi4py-*. Skipped where the
# index of packages does not answer.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/jobs.sh
. "$(dirname "$0")/jobs.sh"
# shellcheck source=test/progress.sh
. "$TOP/test/progress.sh"

tests=$TOP/test/python
selection='^test_(msgzero|p2p_buf|p2p_buf_matched|p2p_obj|p2p_obj_matched|pack|request'
selection+='|cco_buf|cco_obj|comm_topo|status|threads)\.py$'

# What ends or hangs over any transport, by MPI: patterns of names. Open MPI: its
# osc/ucx asks UCX for atomics of types that UCX has not ("invalid atomic operation
# datatype"; util_sync's locks are such), and after the tests of spawn mpirun does
# not end.
declare -A known=(
    [openmpi]='*test_rma*Accumulate* *test_rma*FetchAndOp* *test_rma*CompareAndSwap*
               *test_spawn* *test_util_sync*')

# build MPI: mpi4py with it, in $cache/MPI
build()
{
    # Compilers of Debian are called so; -O0: most of the time is the compiler's
    MPICC=mpicc.$1 CFLAGS=-O0 "$cache/venv/bin/pip" install -q \
        --disable-pip-version-check --no-deps --target "$cache/$1.new" \
        "$cache"/mpi4py-*.tar.gz > "$TMPDIR/pip.$1" 2>&1 &&
        mv "$cache/$1.new" "$cache/$1"
}

# packages MPI...: an environment, sources, and what was built with each, made once
packages()
{
    local version mpi jobs=() status=0 pip=(-q --disable-pip-version-check)

    version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa
    mkdir -p "$cache"
    cache=$cache/mpi4py-$version-$(cksum < "$tests/mpi4py.txt" | cut -d ' ' -f 1)
    exec 9> "$cache.lock"
    flock 9
    if [ ! -e "$cache/complete" ]; then
        rm -rf "$cache"
        {
            python3 -m venv "$cache/venv" &&
                "$cache/venv/bin/pip" install "${pip[@]}" \
                    -r <(grep numpy "$tests/mpi4py.txt") &&
                "$cache/venv/bin/pip" download "${pip[@]}" --no-deps \
                    --no-binary :all: -d "$cache" \
                    -r <(grep mpi4py== "$tests/mpi4py.txt") &&
                mkdir "$cache/source" &&
                tar -C "$cache/source" --strip-components=1 -xf \
                    "$cache"/mpi4py-*.tar.gz &&
                touch "$cache/complete"
        } > "$TMPDIR/pip" 2>&1 || return
    fi
    for mpi in "$@"; do
        rm -rf "$cache/$mpi.new"
        [ -d "$cache/$mpi" ] || { build "$mpi" & jobs+=($!); }
    done
    for mpi in ${jobs[@]+"${jobs[@]}"}; do
        wait "$mpi" || status=1
    done
    cat "$TMPDIR"/pip.* > "$TMPDIR/pip" 2> /dev/null
    exec 9>&-
    return $status
}

# attempt MPI TLS FILES EXCLUDED: those of the files whose name FILES matches, but for
# the tests named in EXCLUDED. Ended if no test ends for long
attempt()
{
    local command=() job watch status=0

    case $1 in
    openmpi) command=(mpirun.openmpi "${openmpi[@]}" --mca mpi_yield_when_idle 1) ;;
    mpich)   command=(mpirun.mpich "${mpich[@]}") ;;
    esac
    : > "$TMPDIR/lines.0"
    UCX_TLS=$2,self UCX_HANDLE_ERRORS=none PYTHONPATH=$cache/$1 \
        "${command[@]}" -n 2 "$EFARUN" --soft --quiet \
        "$cache/venv/bin/python" "$tests/mpi4py_tests.py" "$cache/source/test" \
        "$TMPDIR/lines" -q -i "$3" --xfile "$4" > "$TMPDIR/log" 2>&1 < /dev/null &
    job=$!
    progress_watch $job 60 "$TMPDIR/lines.0" &
    watch=$!
    {
        wait $job || status=$?
        kill $watch
        wait $watch
    } 2> /dev/null
    return $status
}

# run_files MPI TLS FILES: adds a line for each test to $TMPDIR/MPI.TLS: the worse of
# the two ranks' verdicts, and name, and why. After a test that ends its process, or
# hangs, goes on behind it.
run_files()
{
    local status before=-1 excluded=$TMPDIR/excluded

    tr -s ' ' '\n' <<< "${known[$1]:-}" | grep . > "$excluded"
    while [ "$(wc -l < "$excluded")" != "$before" ]; do
        before=$(wc -l < "$excluded")
        rm -f "$TMPDIR"/lines.*
        status=0
        attempt "$1" "$2" "$3" "$excluded" || status=$?
        # A rank that was ended has begun a test and said no more
        awk -v status="$status" '
            function take(verdict, name, why) {
                if (order[verdict] > order[worst[name]]) {
                    worst[name] = verdict
                    reason[name] = why
                }
            }
            function take_open() {
                if (open != "") take("crashed", open, "status " status)
                open = ""
            }
            BEGIN { split("ok skip failed crashed", verdicts)
                    for (i in verdicts) order[verdicts[i]] = i }
            FNR == 1      { take_open() }
            $1 == "begin" { open = $2; next }
            $1 != "end"   { open = ""; why = $0; sub(/^[^ ]* [^ ]* ?/, "", why)
                            take($1, $2, why) }
            END { take_open()
                  for (name in worst) print worst[name], name, reason[name] }' \
            "$TMPDIR"/lines.? > "$TMPDIR/verdicts" 2> /dev/null
        cat "$TMPDIR/verdicts" >> "$TMPDIR/$1.$2"
        # With a * it is no part of a longer name
        awk '{ print "*" $2 }' "$TMPDIR/verdicts" >> "$excluded"
        [ "$(cat "$TMPDIR"/lines.? 2> /dev/null | grep -cx end)" != 2 ] || return 0
    done
    echo "crashed $3 status $status: $(tail -n 1 "$TMPDIR/log")" >> "$TMPDIR/$1.$2"
}

# number MPI TLS VERDICT
number()
{
    grep -c "^$3 " "$TMPDIR/$1.$2"
}

# compare MPI: what passes over tcp passes over srd
compare()
{
    local mpi=$1 verdict name why failed=$common_failed both=0 count=()
    local -A tcp=()

    while read -r verdict name why; do
        tcp[$name]=$verdict
    done < "$TMPDIR/$mpi.tcp"
    while read -r verdict name why; do
        case $verdict,${tcp[$name]:-none} in
        failed,ok|crashed,ok|failed,none|crashed,none|skip,ok)
            not_ok "$mpi, $name" "$verdict ($why), over tcp ${tcp[$name]:-not run}" ;;
        failed,*|crashed,*)
            both=$((both + 1))
            echo "    $mpi: $name $verdict, over tcp, too (${why:0:60})" ;;
        esac
    done < "$TMPDIR/$mpi.srd"
    count=("$(number "$mpi" srd ok)" "$(number "$mpi" tcp ok)"
           "$(number "$mpi" srd skip)" "$(number "$mpi" tcp skip)")
    [ -z "${known[$mpi]:-}" ] ||
        echo "    $mpi: not run: $(xargs <<< "${known[$mpi]}") (see ${0##*/})"
    echo "    $mpi: over srd ${count[0]} passed, ${count[2]} skipped by mpi4py;" \
        "tcp ${count[1]} and ${count[3]}; $both fail over both"
    [ "$failed" = "$common_failed" ] || return
    if [ "${count[0]}" -lt 100 ]; then
        not_ok "mpi4py, $mpi" "only ${count[0]} tests passed: $(
            tail -n 1 "$TMPDIR/log")"
    elif [ "$messages" -lt 1000 ]; then
        not_ok "mpi4py, $mpi" "$messages messages on srd"
    else
        ok "mpi4py, $mpi: ${count[0]} tests, $messages messages on srd"
    fi
}

mpis=()
for mpi in openmpi mpich; do
    if command -v "mpicc.$mpi" > /dev/null && [ -x "$APPS/mpi_p2p.$mpi" ]; then
        mpis+=("$mpi")
    else
        skip "mpi4py, $mpi" "no mpicc.$mpi (Debian: lib$mpi-dev)"
    fi
done
[ ${#mpis[@]} -gt 0 ] || finish
if ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
    skip "mpi4py" "no python3 with venv and pip (Debian: python3-venv)"
    finish
fi
if [ ! -e "$(python3 -c 'import sysconfig as s; print(s.get_path("include"))')"/Python.h ]
then
    skip "mpi4py" "no Python.h (Debian: python3-dev)"
    finish
fi
if ! packages "${mpis[@]}"; then
    skip "mpi4py" "pip does not get or build it: $(grep . "$TMPDIR/pip" | tail -n 1)"
    finish
fi

files=("$selection")
if [ "${MPI4PY:-}" = all ]; then
    files=()
    for file in "$cache"/source/test/test_*.py; do
        files+=("^${file##*/}\$")
    done
fi
for mpi in "${mpis[@]}"; do
    : > "$TMPDIR/$mpi.tcp"
    : > "$TMPDIR/$mpi.srd"
    messages=0
    for file in "${files[@]}"; do
        run_files "$mpi" tcp "$file"
        counters_reset
        run_files "$mpi" srd "$file"
        messages=$((messages + $(counted tx_msgs)))
    done
    compare "$mpi"
done
finish
