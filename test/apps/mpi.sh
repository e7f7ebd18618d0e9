#!/usr/bin/env bash
# MPI and OpenSHMEM programs of ours on srd: the Open MPI, MPICH and OpenSHMEM
# of the distribution, with two and four processes, in order and reordered.
# With UCX_TLS=srd,self nothing else can have carried a message; the counters
# say it, too.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"

export UCX_TLS=srd,self
percent=$TEST_SCALE

# run NAME RANKS COMMAND...: its last line says that nothing was wrong
run()
{
    local name=$1 ranks=$2 status=0 sent received
    shift 2

    counters_reset
    "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null || status=$?
    sent=$(counted tx_msgs)
    received=$(counted rx_msgs)
    if [ $status != 0 ]; then
        not_ok "$name" "status $status: $(tail -n 3 "$TMPDIR/out" "$TMPDIR/err")"
    elif ! grep -qx "$ranks \(ranks\|PEs\), 0 errors" "$TMPDIR/out"; then
        not_ok "$name" "$(tail -n 3 "$TMPDIR/out")"
    elif [ -s "$TMPDIR/err" ]; then
        not_ok "$name" "prints: $(head -n 1 "$TMPDIR/err")"
    elif [ "$sent" -lt 100 ] || [ "$received" -lt "$sent" ]; then
        not_ok "$name" "srd sent $sent messages and received $received"
    else
        ok "$name"
    fi
}

openmpi=(--oversubscribe --mca opal_common_ucx_tls any
         --mca opal_common_ucx_devices any)
[ "$(id -u)" != 0 ] || openmpi+=(--allow-run-as-root)

for reorder in "" --reorder; do
    efarun=("$EFARUN" --soft --quiet ${reorder:+"$reorder"})
    note=${reorder:+", reordered"}
    for ranks in 2 4; do
        for program in mpi_p2p mpi_order mpi_coll; do
            if [ -x "$APPS/$program.openmpi" ]; then
                run "Open MPI $program, $ranks ranks$note" $ranks \
                    mpirun.openmpi "${openmpi[@]}" --mca pml ucx -np $ranks \
                    "${efarun[@]}" "$APPS/$program.openmpi" "$percent"
            fi
            if [ -x "$APPS/$program.mpich" ]; then
                run "MPICH $program, $ranks ranks$note" $ranks \
                    mpirun.mpich -n $ranks -genv MPIR_CVAR_NOLOCAL 1 \
                    "${efarun[@]}" "$APPS/$program.mpich" "$percent"
            fi
        done
        if [ -x "$APPS/shmem_check.oshmem" ]; then
            # Debian's OpenSHMEM ends with a crash without the last option,
            # over any transport
            run "OpenSHMEM shmem_check, $ranks PEs$note" $ranks \
                oshrun "${openmpi[@]}" \
                --mca opal_common_ucx_opal_mem_hooks 0 -np $ranks \
                "${efarun[@]}" "$APPS/shmem_check.oshmem" "$percent"
        fi
    done
done

[ -x "$APPS/mpi_p2p.openmpi" ] ||
    skip "Open MPI" "not built (Debian package libopenmpi-dev)"
[ -x "$APPS/mpi_p2p.mpich" ] ||
    skip "MPICH" "not built (Debian package libmpich-dev)"
[ -x "$APPS/shmem_check.oshmem" ] ||
    skip "OpenSHMEM" "not built (Debian package libopenmpi-dev)"
finish
