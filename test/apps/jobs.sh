# shellcheck shell=bash
# Sourced after common.sh by scripts that start MPI and OpenSHMEM programs of
# ours: over srd and nothing else, and the counters of all processes say so.
# shellcheck source=test/apps/counters.sh
. "$(dirname "${BASH_SOURCE[0]}")/counters.sh"

export UCX_TLS=srd,self

# for mpirun.openmpi and oshrun. UCX only: within one host Open MPI would take
# shared memory of its own. opal_signal: of a signal that nobody sends, as its
# handler of crashes allocates memory: after one within malloc() it hangs.
openmpi=(--oversubscribe --mca pml ucx --mca osc ucx --mca btl self
         --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any
         --mca opal_signal 12)
[ "$(id -u)" != 0 ] || openmpi+=(--allow-run-as-root)
# Debian 12's OpenSHMEM ends with a crash without the last, over any transport
# shellcheck disable=SC2034 # for who sources this
oshmem=("${openmpi[@]}" --mca opal_common_ucx_opal_mem_hooks 0)
# shellcheck disable=SC2034
mpich=(-genv MPIR_CVAR_NOLOCAL 1)

# crashed STATUS OUTPUT...: a rank was ended by a signal, however mpirun ended
crashed()
{
    local status=$1
    shift

    case $status in 0) return 1 ;; 134|135|136|139) return ;; esac
    grep -qE 'Process received signal|exited on( signal|$)' "$@"
}

# crashes_on_tcp COMMAND...: whether MPI or UCX itself ends this program: then it
# is not this transport that does. Who comes first may decide: three times.
crashes_on_tcp()
{
    local status attempt

    for attempt in 1 2 3; do
        status=0
        UCX_TLS=tcp,self limited "$@" > "$TMPDIR/tcp" 2>&1 < /dev/null ||
            status=$?
        ! crashed $status "$TMPDIR/tcp" || return 0
    done
    echo "    $attempt times over tcp: status $status"
    return 1
}

# job NAME RANKS COMMAND...: its last line says that nothing was wrong, nothing
# is on stderr, and srd moved at least the payload that the program counted.
# A program that cannot be tested here says "skip: WHY" on its last line.
# A read or write by RDMA is counted where it was asked for, not as a message;
# by_rdma=PERCENT of the payload at least must have been such.
job()
{
    local name=$1 ranks=$2 status=0 sent received payload moved rdma
    shift 2

    counters_reset
    limited "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" \
        < /dev/null || status=$?
    sent=$(counted tx_msgs)
    received=$(counted rx_msgs)
    rdma=$(($(counted rdma_read_bytes) + $(counted rdma_write_bytes)))
    moved=$(($(counted tx_bytes) + rdma))
    payload=$(sed -n 's/^payload //p' "$TMPDIR/out")
    if crashed $status "$TMPDIR/out" "$TMPDIR/err" && crashes_on_tcp "$@"; then
        skip "$name" "crashes over tcp, too: $(grep -m 1 -E 'Fatal|ignal' \
            "$TMPDIR/tcp")"
    elif [ $status != 0 ]; then
        not_ok "$name" "status $status: $(head -n 3 "$TMPDIR/out" \
            "$TMPDIR/err" | cut -c 1-300)"
    elif grep -q '^skip: ' "$TMPDIR/out"; then
        skip "$name" "$(sed -n 's/^skip: //p' "$TMPDIR/out")"
    elif ! grep -qx "$ranks \(ranks\|PEs\), 0 errors" "$TMPDIR/out"; then
        not_ok "$name" "$(tail -n 3 "$TMPDIR/out")"
    elif [ -s "$TMPDIR/err" ]; then
        not_ok "$name" "prints: $(head -n 1 "$TMPDIR/err")"
    elif grep -qE 'UCX +ERROR| (srd|efa)_[a-z_]+\.c:[0-9]+ ' "$TMPDIR/out"; then
        # UCX's log goes to stdout
        not_ok "$name" "logs: $(grep -m 1 'UCX  ' "$TMPDIR/out")"
    elif [ "$sent" -lt 100 ] || [ "$received" -lt "$sent" ]; then
        not_ok "$name" "srd sent $sent messages and received $received"
    elif [ "$moved" -lt "${payload:-0}" ]; then
        not_ok "$name" "srd moved $moved bytes of $payload"
    elif [ $((rdma * 100)) -lt $((${payload:-0} * ${by_rdma:-0})) ]; then
        not_ok "$name" "only $rdma bytes of $payload by RDMA"
    else
        ok "$name"
    fi
}
