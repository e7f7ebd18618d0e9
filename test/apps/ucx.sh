#!/usr/bin/env bash
# UCX's own programs on srd: ucx_info shows it, ucx_perftest runs every test
# that needs active messages, between two processes, over srd and nothing else.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"

need ucx_info ucx-utils

efarun=("$EFARUN" --soft --quiet)

# ---- ucx_info

# info NAME PATTERN ARGUMENTS...: a line of ucx_info's output matches; there is
# nothing on stderr
info()
{
    local name=$1 pattern=$2
    shift 2

    "${efarun[@]}" ucx_info "$@" > "$TMPDIR/info" 2> "$TMPDIR/info.err" \
        < /dev/null
    if [ -s "$TMPDIR/info.err" ]; then
        not_ok "$name" "prints: $(head -n 1 "$TMPDIR/info.err")"
    elif grep -qE "$pattern" "$TMPDIR/info"; then
        ok "$name"
    else
        not_ok "$name" "no line matches '$pattern'"
    fi
}

unset UCX_TLS
info "ucx_info -d: component" '^# +Component: efasrd$' -d
info "ucx_info -d: transport" '^# +Transport: srd$' -d
sed -n '/Transport: srd/,/error handling/p' "$TMPDIR/info" > "$TMPDIR/srd"
for line in 'am_short: <= [0-9]+' 'am_bcopy: <= 8928' 'am_zcopy: <= 8928' \
            'connection: to iface' 'error handling: peer failure' \
            'device address: 16 bytes' 'iface address: 8 bytes' \
            'bandwidth: 1[01][0-9]{3}\.[0-9]+/ppn' 'Type: network'; do
    if grep -qE "$line" "$TMPDIR/srd"; then
        ok "ucx_info -d: $line"
    else
        not_ok "ucx_info -d: $line" "not shown for srd"
    fi
done
info "ucx_info -f: settings of srd" '^UCX_SRD_[A-Z_]+=' -f
info "ucx_info -f: settings of efa" '^UCX_EFA_[A-Z_]+=' -f
info "ucx_info -a: no setting without text" '^UCX_SRD_' -fca
if awk '/^UCX_(SRD|EFA)_/ && previous != "#" { bad = 1 }
        { previous = substr($0, 1, 1) } END { exit bad }' < \
       <(grep -v '^$' "$TMPDIR/info"); then
    ok "every setting is explained"
else
    not_ok "every setting is explained" "$(grep -E '^UCX_(SRD|EFA)' "$TMPDIR/info")"
fi

UCX_TLS=srd info "ucx_info -u t -e" 'lane\[0\]: .*srd/.* am' -u t -e
UCX_TLS=srd,tcp info "preferred to tcp" 'lane\[0\]: .*srd/.* am' -u t -e
UCX_TLS=^posix,sysv,cma,self \
    info "preferred among all that reach other hosts" \
    'lane\[0\]: .*srd/.* am' -u t -e
# Without self, which UCX prefers for an endpoint to the own worker
for features in m ts te tmsarwe; do
    UCX_TLS=srd info "endpoint with features $features" 'srd/' \
        -u $features -e
done

# ---- ucx_perftest

need ucx_perftest ucx-utils
export UCX_TLS=srd,self

perftest_find

# perf COUNT OPTIONS...: between two processes; both must end well, and srd must
# have carried at least COUNT messages, RDMA reads or writes
perf()
{
    local count=$1 sent name
    shift

    name="ucx_perftest $*"
    counters_reset
    if ! pair_run "$TMPDIR" "${efarun[@]}" "${perftest[@]}" -f -n "$count" \
            -w 10 "$@" -p @PORT@ -- -- 127.0.0.1; then
        not_ok "$name" "$pair_why"
        return
    fi
    sent=$(($(counted tx_msgs) + $(counted rdma_read_ops) +
            $(counted rdma_write_ops)))
    if ! grep -qE "^ *$count +[0-9]" "$TMPDIR/client"; then
        not_ok "$name" "no result: $(tail -n 1 "$TMPDIR/client")"
    elif grep -qE 'ERROR|WARN' "$TMPDIR/client" "$TMPDIR/server"; then
        not_ok "$name" "$(grep -hE 'ERROR|WARN' "$TMPDIR/client" \
            "$TMPDIR/server" | head -n 1)"
    elif [ "$sent" -lt "$count" ]; then
        not_ok "$name" "srd carried only $sent messages and operations"
    else
        ok "$name"
    fi
}

uct="-d efa_0:1 -x srd"
many=$(scaled 20000)
few=$(scaled 1000)

for test in am_lat am_bw; do
    # shellcheck disable=SC2086 # options
    {
        for size in 8 32 64 192; do
            perf "$many" $uct -t $test -D short -s $size
            perf "$many" $uct -t $test -D shortiov -s $size
        done
        for size in 8 1024 8928; do
            perf "$many" $uct -t $test -D bcopy -s $size
            perf "$many" $uct -t $test -D zcopy -s $size
        done
        perf "$many" $uct -t $test -D zcopy -H 128 -s 256
        perf "$many" $uct -t $test -D short -s 8 -W 1
    }
done

for test in tag_lat tag_bw tag_sync_lat tag_sync_bw stream_lat stream_bw \
            ucp_am_lat ucp_am_bw; do
    for size in 8 8000 100000; do
        perf "$([ $size -lt 10000 ] && echo "$many" || echo "$few")" \
            -t $test -s $size
    done
done
for test in tag_lat tag_bw; do
    perf "$many" -t $test -s 2000 -C
    perf "$many" -t $test -s 2000 -U
    perf "$few" -t $test -s 100,3000,20000 -D iov,iov
    perf "$many" -t $test -s 2000 -O 32
    UCX_PROTO_ENABLE=y perf "$many" -t $test -s 8
    UCX_PROTO_ENABLE=y perf "$few" -t $test -s 100000
done
perf "$few" -t stream_bw -s 8000 -r recv_data
perf "$few" -t tag_lat -s 8000 -T 2 -M multi
# reads, on every device with RDMA read; writes where rdma-core can ask for them
# shellcheck disable=SC2086 # options
{
    for size in 1 8 8928; do
        perf "$few" $uct -t get -D bcopy -s $size
    done
    for size in 1 8928 8929 1000000; do
        perf "$few" $uct -t get -D zcopy -s $size
    done
    if grep -q 'put_zcopy' "$TMPDIR/srd"; then
        for test in put_lat put_bw; do
            perf "$few" $uct -t $test -D short -s 8
            perf "$few" $uct -t $test -D bcopy -s 8928
            perf "$few" $uct -t $test -D zcopy -s 100000
        done
    fi
}
# one-sided of UCP: where srd cannot write, over active messages
for test in ucp_put_lat ucp_put_bw ucp_get ucp_add ucp_fadd ucp_swap ucp_cswap; do
    perf "$few" -t $test -s 8
done
perf "$few" -t ucp_put_bw -s 100000
perf "$few" -t ucp_get -s 100000

# ordering is the transport's work
SOFTEFA_REORDER=16 perf "$many" -t tag_bw -s 8
SOFTEFA_REORDER=64 perf "$few" -t tag_bw -s 1000000
SOFTEFA_REORDER=16 perf "$many" -t ucp_am_bw -s 3000
SOFTEFA_REORDER=16 perf "$few" -t stream_bw -s 50000

finish
