#!/usr/bin/env bash
# MPI's one-sided functions and large messages on srd, with our programs: Open
# MPI and MPICH, in order and reordered. MPICH waits without giving its core
# away, so it has no more ranks than a small machine has cores.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/jobs.sh
. "$(dirname "$0")/jobs.sh"

# mpi RANKS PROGRAM: with both MPIs
mpi()
{
    local note=${reorder:+", reordered"}

    if [ -x "$APPS/$2.openmpi" ]; then
        job "Open MPI $2, $1 ranks$note" "$1" \
            mpirun.openmpi "${openmpi[@]}" -np "$1" "${efarun[@]}" \
            "$APPS/$2.openmpi" "$TEST_SCALE"
    fi
    if [ -x "$APPS/$2.mpich" ] && [ "$1" -le 2 ]; then
        job "MPICH $2, $1 ranks$note" "$1" \
            mpirun.mpich -n "$1" "${mpich[@]}" "${efarun[@]}" \
            "$APPS/$2.mpich" "$TEST_SCALE"
    fi
}

for reorder in "" --reorder; do
    efarun=("$EFARUN" --soft --quiet ${reorder:+"$reorder"})
    for ranks in 2 4; do
        mpi $ranks mpi_rma
        mpi $ranks mpi_lock
    done
    # the receiver reads, wherever UCX would begin with it by itself
    UCX_RNDV_THRESH=64k by_rdma=90 mpi 2 mpi_large
done

# 2 and 4 GB
efarun=("$EFARUN" --soft --quiet)
reorder=
UCX_RNDV_THRESH=64k by_rdma=40 mpi 2 mpi_huge

[ -x "$APPS/mpi_rma.openmpi" ] ||
    skip "Open MPI" "not built (Debian package libopenmpi-dev)"
[ -x "$APPS/mpi_rma.mpich" ] ||
    skip "MPICH" "not built (Debian package libmpich-dev)"
finish
