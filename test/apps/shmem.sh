#!/usr/bin/env bash
# OpenSHMEM programs of ours on srd, with Open MPI's OpenSHMEM: two and four
# PEs, in order and reordered.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/jobs.sh
. "$(dirname "$0")/jobs.sh"

if [ ! -x "$APPS/shmem_rma.oshmem" ]; then
    skip "OpenSHMEM" "no oshcc (Debian package libopenmpi-dev)"
    finish
fi

for reorder in "" --reorder; do
    for pes in 2 4; do
        for program in shmem_rma shmem_atomic shmem_sync; do
            job "$program, $pes PEs${reorder:+, reordered}" $pes \
                oshrun "${oshmem[@]}" -np $pes \
                "$EFARUN" --soft --quiet ${reorder:+"$reorder"} \
                "$APPS/$program.oshmem" "$TEST_SCALE"
        done
        # UCX makes a flush of a fence where it may use several lanes: here it
        # is the transport's own. It orders no atomics in software, which are
        # done when the target looks.
        UCX_FENCE_MODE=weak \
            job "shmem_sync order, weak fence, $pes PEs${reorder:+, reordered}" \
            $pes oshrun "${oshmem[@]}" -np $pes \
            "$EFARUN" --soft --quiet ${reorder:+"$reorder"} \
            "$APPS/shmem_sync.oshmem" "$TEST_SCALE" order
    done
done

finish
