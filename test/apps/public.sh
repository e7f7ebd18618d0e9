#!/usr/bin/env bash
# Programs that others wrote and Debian ships, on srd: OpenCoarrays' tests (MPI
# windows, passive target), HPC Challenge, NetPIPE's integrity check. Each has
# its own idea of success; what srd counted is added.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/jobs.sh
. "$(dirname "$0")/jobs.sh"

efarun=("$EFARUN" --soft --quiet --reorder)

# public NAME LEAST GOOD BAD COMMAND...: ends well, prints a line that matches
# GOOD and none that matches BAD, and srd sent or read at least LEAST times
public()
{
    local name=$1 least=$2 good=$3 bad=$4 status=0 count
    shift 4

    counters_reset
    limited "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" \
        < /dev/null || status=$?
    count=$(($(counted tx_msgs) + $(counted rdma_read_ops) +
             $(counted rdma_write_ops)))
    # NetPIPE reports on stderr, HPC Challenge to a file
    cat "$TMPDIR/err" ${result:+"$result"} >> "$TMPDIR/out"
    if crashed $status "$TMPDIR/out" && crashes_on_tcp "$@"; then
        skip "$name" "crashes over tcp, too: $(grep -m 1 -E 'Fatal|ignal' \
            "$TMPDIR/tcp")"
    elif [ $status != 0 ]; then
        not_ok "$name" "status $status: $(tail -n 3 "$TMPDIR/out" \
            "$TMPDIR/err" | cut -c 1-300)"
    elif ! grep -qE "$good" "$TMPDIR/out"; then
        not_ok "$name" "no '$good': $(tail -n 3 "$TMPDIR/out" | cut -c 1-300)"
    elif grep -qE "$bad|UCX +ERROR" "$TMPDIR/out"; then
        not_ok "$name" "$(grep -E -m 1 "$bad|UCX +ERROR" "$TMPDIR/out")"
    elif [ "$count" -lt "$least" ]; then
        not_ok "$name" "srd sent only $count messages"
    else
        ok "$name"
    fi
}

openmpi_run=(mpirun.openmpi "${openmpi[@]}")

# ---- OpenCoarrays. Left out: what fails, hangs or, under load, now and then has
# a wrong result over any transport with this Open MPI (events, sendget, puts
# that another image relies on, components by reference), and what takes long.

coarrays=
for directory in /usr/lib/*/open-coarrays/openmpi/bin/OpenCoarrays-*-tests; do
    [ ! -d "$directory" ] || coarrays=$directory
done
if [ -n "$coarrays" ]; then
    for test in get_convert_nums get_convert_char_array get_static_array \
                get_with_offset_1d get_with_vector_index whole_get_array \
                strided_get teams_coarray_get syncimages atomics \
                issue-503-multidim-array-broadcast; do
        [ -x "$coarrays/$test" ] || continue
        public "OpenCoarrays $test" 100 '[Tt]est passed' '[Ff]ailed|[Ee]rror' \
            "${openmpi_run[@]}" -np 4 "${efarun[@]}" "$coarrays/$test"
    done
else
    skip "OpenCoarrays" "not installed (Debian package libcoarrays-openmpi-dev)"
fi

# ---- HPC Challenge: all its parts, small

# Lines are told by their number; what follows the values is ignored
hpcc_input()
{
    cat << 'END'
input
for two ranks
HPL.out
8   output to a file
1   problem size
400 N
1   block size
80  NB
0   mapping
1   grid
1   P
2   Q
16.0 threshold
1   panel factorisation
2   right
1   stopping criterion
4   NBMIN
1   panels in recursion
2   NDIV
1   recursive factorisation
1   Crout
1   broadcast
1   1rM
1   look-ahead
1   depth
2   swapping
64  threshold
0   L1
0   U
1   equilibration
8   alignment
-
0   more sizes for PTRANS
1200
0   more block sizes for PTRANS
40
END
}

if command -v hpcc > /dev/null; then
    mkdir -p "$TMPDIR/hpcc"
    hpcc_input > "$TMPDIR/hpcc/hpccinf.txt"
    result=$TMPDIR/hpcc/hpccoutf.txt \
        public "HPC Challenge" 1000 '^Success=1$' \
        'FAILED|RandomAccess(_LCG)?_Errors=[1-9]|failed residual [a-z]+[,.].*[1-9]' \
        "${openmpi_run[@]}" -np 2 --wdir "$TMPDIR/hpcc" "${efarun[@]}" hpcc
else
    skip "HPC Challenge" "not installed (Debian package hpcc)"
fi

# ---- NetPIPE: every size up to 1 MB, and 3 bytes more and less

netpipe=(-i -u 1048576 -n 5 -o "$TMPDIR/np.out")
if command -v NPopenmpi > /dev/null; then
    public "NetPIPE, Open MPI" 500 'Integrity check passed' '[Ff]ail' \
        "${openmpi_run[@]}" -np 2 "${efarun[@]}" NPopenmpi "${netpipe[@]}"
else
    skip "NetPIPE, Open MPI" "not installed (Debian package netpipe-openmpi)"
fi
if command -v NPmpich2 > /dev/null; then
    public "NetPIPE, MPICH" 500 'Integrity check passed' '[Ff]ail' \
        mpirun.mpich -n 2 "${mpich[@]}" "${efarun[@]}" NPmpich2 "${netpipe[@]}"
else
    skip "NetPIPE, MPICH" "not installed (Debian package netpipe-mpich2)"
fi

finish
