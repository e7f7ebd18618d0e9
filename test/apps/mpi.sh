#!/usr/bin/env bash
# MPI programs of ours that send and receive, on srd: Open MPI and MPICH of the
# distribution, with two and four processes, in order and reordered; with threads,
# intercommunicators, and with 64 processes on whatever the machine has.
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

    # ranks and threads that wait give their processor away: more than there are
    if [ -x "$APPS/mpi_threads.openmpi" ]; then
        job "Open MPI mpi_threads, 2 ranks$note" 2 \
            mpirun.openmpi "${openmpi[@]}" -np 2 env "LD_PRELOAD=$APPS/mpi_wait.so" \
            "${efarun[@]}" "$APPS/mpi_threads.openmpi" "$TEST_SCALE"
    fi
    if [ -x "$APPS/mpi_threads.mpich" ]; then
        job "MPICH mpi_threads, 2 ranks$note" 2 \
            mpirun.mpich -n 2 "${mpich[@]}" env "LD_PRELOAD=$APPS/mpi_wait.so" \
            "${efarun[@]}" "$APPS/mpi_threads.mpich" "$TEST_SCALE"
    fi

    # MPICH over UCX has no MPI_Open_port, over any transport
    for connect in "" connect; do
        if [ -x "$APPS/mpi_inter.openmpi" ]; then
            job "Open MPI mpi_inter${connect:+, }$connect, 4 ranks$note" 4 \
                mpirun.openmpi "${openmpi[@]}" -np 4 "${efarun[@]}" \
                "$APPS/mpi_inter.openmpi" "$TEST_SCALE" ${connect:+"$connect"}
        fi
    done
    if [ -x "$APPS/mpi_inter.mpich" ]; then
        job "MPICH mpi_inter, 4 ranks$note" 4 \
            mpirun.mpich -n 4 "${mpich[@]}" "${efarun[@]}" \
            "$APPS/mpi_inter.mpich" "$TEST_SCALE"
    fi

    # efarun comes first: the launcher starts the children, too. MPICH of Debian 12
    # to sid cannot spawn over its UCX, whatever the transport.
    if [ -x "$APPS/mpi_spawn.openmpi" ]; then
        job "Open MPI mpi_spawn, 2 ranks$note" 2 "${efarun[@]}" \
            mpirun.openmpi "${openmpi[@]}" -np 2 "$APPS/mpi_spawn.openmpi"
    fi
done

efarun=("$EFARUN" --soft --quiet)
if [ -x "$APPS/mpi_coll.openmpi" ]; then
    job "Open MPI mpi_coll, 64 ranks" 64 \
        mpirun.openmpi "${openmpi[@]}" -np 64 env "LD_PRELOAD=$APPS/mpi_wait.so" \
        "${efarun[@]}" "$APPS/mpi_coll.openmpi" 1 100
fi
if [ -x "$APPS/mpi_coll.mpich" ]; then
    job "MPICH mpi_coll, 64 ranks" 64 \
        mpirun.mpich -n 64 "${mpich[@]}" env "LD_PRELOAD=$APPS/mpi_wait.so" \
        "${efarun[@]}" "$APPS/mpi_coll.mpich" 1 100
fi

[ -x "$APPS/mpi_p2p.openmpi" ] ||
    skip "Open MPI" "not built (Debian package libopenmpi-dev)"
[ -x "$APPS/mpi_p2p.mpich" ] ||
    skip "MPICH" "not built (Debian package libmpich-dev)"
finish
