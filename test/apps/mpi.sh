#!/usr/bin/env bash
# MPI programs of ours that send and receive, on srd: Open MPI and MPICH of the
# distribution, with two and four processes, in order and reordered.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/jobs.sh
. "$(dirname "$0")/jobs.sh"

for reorder in "" --reorder; do
    efarun=("$EFARUN" --soft --quiet ${reorder:+"$reorder"})
    note=${reorder:+", reordered"}
    for ranks in 2 4; do
        for program in mpi_p2p mpi_order mpi_coll; do
            if [ -x "$APPS/$program.openmpi" ]; then
                job "Open MPI $program, $ranks ranks$note" $ranks \
                    mpirun.openmpi "${openmpi[@]}" -np $ranks \
                    "${efarun[@]}" "$APPS/$program.openmpi" "$TEST_SCALE"
            fi
            if [ -x "$APPS/$program.mpich" ]; then
                job "MPICH $program, $ranks ranks$note" $ranks \
                    mpirun.mpich -n $ranks "${mpich[@]}" \
                    "${efarun[@]}" "$APPS/$program.mpich" "$TEST_SCALE"
            fi
        done
    done

    # efarun comes first: the launcher starts the children, too. MPICH of Debian 12
    # to sid cannot spawn over its UCX, whatever the transport.
    if [ -x "$APPS/mpi_spawn.openmpi" ]; then
        job "Open MPI mpi_spawn, 2 ranks$note" 2 "${efarun[@]}" \
            mpirun.openmpi "${openmpi[@]}" -np 2 "$APPS/mpi_spawn.openmpi"
    fi
done

[ -x "$APPS/mpi_p2p.openmpi" ] ||
    skip "Open MPI" "not built (Debian package libopenmpi-dev)"
[ -x "$APPS/mpi_p2p.mpich" ] ||
    skip "MPICH" "not built (Debian package libmpich-dev)"
finish
