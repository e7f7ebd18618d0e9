#!/usr/bin/env bash
# srdtool doctor, doctor echo, selftest: what they say where all is well, and of
# everything that can be broken here: the check that must fail, with its cause
# and the next step.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

tool=$BUILD/src/tools/srdtool
need python3 python3-minimal

# What the caller has set would be diagnosed
unset UCX_TLS UCX_NET_DEVICES UCX_MODULES UCX_EFA_STATS MPIR_CVAR_CH4_NETMOD \
    OMPI_MCA_pml OMPI_MCA_opal_common_ucx_tls I_MPI_FABRICS I_MPI_OFI_PROVIDER
# no settings of this user's Open MPI either
export HOME=$TMPDIR

# run STATUS COMMAND...: output in out; whether it ended with that status
run()
{
    local wanted=$1 status=0
    shift

    limited "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null || status=$?
    [ "$status" = "$wanted" ]
}

# soft STATUS COMMAND...: the same on Soft-EFA
soft()
{
    local wanted=$1
    shift

    run "$wanted" "$EFARUN" --soft --quiet -- "$@"
}

# says VERDICT CHECK TEXT [NEXT]: a line of the report, and the one behind it
says()
{
    local line next

    line=$(grep -A1 -E "^$1 +$2 .*$3" "$TMPDIR/out") || return 1
    next=$(sed -n 2p <<< "$line")
    [ $# = 3 ] || grep -qE "^ +next: .*$4" <<< "$next"
}

# expect NAME CONDITION...: ok if the condition holds
expect()
{
    local name=$1
    shift

    if "$@"; then
        ok "$name"
    else
        not_ok "$name" "$(grep -E 'FAIL|warn|next' "$TMPDIR/out" | head -n 6) \
$(head -n 3 "$TMPDIR/err")"
    fi
}

# ------------------------------------------------------------ before the run

doctor_is_well()
{
    soft 0 "$tool" doctor && says ok device efa_0 && says ok permission uverbs &&
        says ok provider rdma-core && says ok abilities 'RDMA read yes' &&
        says ok counters '22 of efa_0' && says ok ucx '[0-9]' &&
        says ok module 'finds 1 device; srd is that of ucx-efa' && says ok loader LD_PRELOAD &&
        says ok selection unset && says ok process_vm reads &&
        says ok stats written && ! grep -q FAIL "$TMPDIR/out"
}
expect doctor-well doctor_is_well

# json: what is in out is one report, its numbers are right
json()
{
    python3 - "$TMPDIR/out" << 'EOF'
import json, sys
report = json.load(open(sys.argv[1]))
count = {"ok": 0, "warn": 0, "fail": 0, "skip": 0}
for check in report["checks"]:
    count[check["verdict"]] += 1
    assert check["name"] and check["text"]
    assert check["verdict"] != "fail" or check["next"]
assert len(report["checks"]) > 0
for verdict in count:
    assert count[verdict] == report[verdict], verdict
EOF
}

doctor_json()
{
    soft 0 "$tool" -j doctor && json && soft 0 "$tool" doctor -j -p efa_0 &&
        json && grep -q '^  "checks"' "$TMPDIR/out" &&
        soft 0 "$tool" -d doctor && grep -qE '^ *device_caps [0-9]+, ' "$TMPDIR/out"
}
expect doctor-json doctor_json

# broken STATUS VERDICT CHECK TEXT NEXT [VARIABLE=VALUE...]
broken()
{
    local status=$1 verdict=$2 check=$3 text=$4 next=$5
    shift 5

    soft "$status" env "$@" "$tool" doctor &&
        says "$verdict" "$check" "$text" "$next"
}

expect doctor-ucx-tls broken 1 FAIL selection 'UCX_TLS=tcp,self' \
    'export UCX_TLS=tcp,self,srd' UCX_TLS=tcp,self
expect doctor-ucx-tls-not broken 1 FAIL selection 'UCX_TLS=\^srd' \
    'unset UCX_TLS' 'UCX_TLS=^srd'
expect doctor-net-devices broken 1 FAIL selection eth0 \
    'UCX_NET_DEVICES=efa_0:1' UCX_NET_DEVICES=eth0
expect doctor-ucx-modules broken 1 FAIL module 'does not load' \
    'unset UCX_MODULES' 'UCX_MODULES=^efasrd'
expect doctor-openmpi-pml broken 0 warn openmpi 'pml = ob1' \
    'OMPI_MCA_pml=ucx' OMPI_MCA_pml=ob1
expect doctor-openmpi-tls broken 0 warn openmpi 'opal_common_ucx_tls' \
    'opal_common_ucx_tls any' OMPI_MCA_pml=ucx
expect doctor-mpich broken 1 FAIL mpich 'NETMOD=ofi' unset \
    MPIR_CVAR_CH4_NETMOD=ofi
expect doctor-stats broken 0 warn stats 'UCX_EFA_STATS=n' unset \
    UCX_EFA_STATS=n

allowed()
{
    soft 0 env UCX_TLS=self,srd UCX_NET_DEVICES=efa_0:1 OMPI_MCA_pml=ucx \
        OMPI_MCA_opal_common_ucx_tls=any "$tool" doctor &&
        says ok selection srd && says ok openmpi any
}
expect doctor-settings-for-srd allowed

permission()
{
    SOFTEFA_FAULTS='fail cmd=open errno=EPERM count=99' soft 1 "$tool" doctor &&
        says FAIL permission 'uverbs0 .efa_0. cannot be opened: Operation not' chmod
}
expect doctor-permission permission

no_soft_device()
{
    SOFTEFA_MTU=1 run 1 env "LD_PRELOAD=$BUILD/src/softefa/.libs/libsoftefa.so" \
        "$tool" doctor && says FAIL device 'Soft-EFA .* no device' SOFTEFA_ &&
        grep -q SOFTEFA_MTU "$TMPDIR/err"
}
expect doctor-no-soft-device no_soft_device

unknown_device()
{
    soft 1 "$tool" doctor efa_7 && says FAIL device efa_7 'name one'
}
expect doctor-unknown-device unknown_device

if "$EFARUN" --no-soft --quiet -- true 2> /dev/null; then
    skip doctor-no-device "this machine has an EFA device"
else
    no_device()
    {
        run 1 "$tool" doctor && says FAIL device 'no EFA device' 'efarun --soft' &&
            says warn loader LD_PRELOAD efarun && says skip counters device
    }
    expect doctor-no-device no_device
fi

memlock()
{
    local without=()

    # root may lock as much as it likes; setpriv takes that away
    [ "$(id -u)" != 0 ] || without=(setpriv --bounding-set=-ipc_lock)
    soft 0 "${without[@]}" bash -c "ulimit -l 64; exec $tool doctor" &&
        says warn memlock '64 KiB may be locked' 'ulimit -l unlimited' &&
        (ulimit -l 64; run 1 "${without[@]}" "$tool" doctor) &&
        says FAIL memlock '64 KiB may be locked' 'ulimit -l unlimited'
}
expect doctor-memlock memlock

# A UCX of another version, first in the way of the linker
mkdir "$TMPDIR/lib"
other_ucx()
{
    echo 'void ucp_get_version(unsigned *a, unsigned *b, unsigned *c)
          { *a = 1; *b = 99; *c = 0; }' |
        "${CC:-cc}" -shared -fPIC -x c -o "$TMPDIR/lib/libucp.so.0" - &&
        LD_LIBRARY_PATH=$TMPDIR/lib soft 1 "$tool" doctor &&
        says FAIL ucx '1.99.0; this ucx-efa was built for' build
}
expect doctor-other-ucx other_ucx
rm -f "$TMPDIR/lib/libucp.so.0"

no_provider()
{
    echo nothing > "$TMPDIR/lib/libefa.so.1"
    LD_LIBRARY_PATH=$TMPDIR/lib soft 1 "$tool" doctor &&
        says FAIL provider libefa.so.1 ibverbs-providers &&
        says FAIL module libefa.so.1 &&
        LD_LIBRARY_PATH=$TMPDIR/lib soft 1 "$tool" selftest &&
        says FAIL open libefa.so.1
}
expect doctor-no-provider no_provider
rm -f "$TMPDIR/lib/libefa.so.1"

usage()
{
    soft 2 "$tool" doctor efa_0 efa_1 && soft 2 "$tool" doctor --nonsense &&
        soft 2 "$tool" doctor echo && soft 2 "$tool" doctor echo -P 0 a &&
        soft 2 "$tool" doctor echo -t 1x a && soft 2 "$tool" selftest -t 0 &&
        soft 2 "$tool" selftest efa_0 efa_1 && grep -q usage "$TMPDIR/err" &&
        soft 0 "$tool" doctor --help && grep -q usage "$TMPDIR/out" &&
        soft 0 "$tool" doctor echo --help && grep -q '18515' "$TMPDIR/out" &&
        soft 0 "$tool" selftest --help && grep -q timeout "$TMPDIR/out"
}
expect usage usage

# ----------------------------------------------------------------- selftest

selftest_is_well()
{
    soft 0 "$tool" selftest && says ok send 'us \(Soft-EFA: about' &&
        says ok receive us && says ok event us && says ok register us &&
        says ok ah us && says ok rdma-read us && says ok destroy nothing &&
        soft 0 "$tool" -j selftest efa_0 && json
}
expect selftest-well selftest_is_well

# Every object of a process that runs on beside it stays as it was; and nothing
# of its own is there afterwards.
selftest_leaves_nothing()
{
    SOFTEFA_LIMITS=max_qp=1,max_cq=1,max_pd=1,max_ah=1,max_mr=2 \
        soft 0 bash -c "$tool selftest && $tool selftest" &&
        says ok destroy nothing &&
        ! ls -d /dev/shm/softefa.*."$SOFTEFA_FABRIC" > /dev/null 2>&1
}
expect selftest-leaves-nothing selftest_leaves_nothing

# An old device has no events, and that is no failure
selftest_old_device()
{
    SOFTEFA_PROFILE=efa0 soft 0 "$tool" selftest &&
        says skip event 'no completion events'
}
expect selftest-old-device selftest_old_device

# faulty PLAN CHECK TEXT: that check fails, and the command
faulty()
{
    SOFTEFA_FAULTS=$1 soft 1 "$tool" selftest -t 1 &&
        says FAIL "$2" "$3" . && says ok destroy nothing
}
expect selftest-status faulty 'status code=5 after=3 count=1' send \
    'status INVALID_LKEY, local memory is not registered'
expect selftest-read-status faulty 'status code=7 op=read count=1' rdma-read \
    'status REMOTE_ADDRESS, remote memory'
expect selftest-wrong-data faulty 'corrupt what=payload op=send count=1' send \
    'wrong data: byte [0-9]+ is 0x[0-9a-f]{2}, not'
expect selftest-wrong-read faulty 'corrupt what=payload op=read count=1' \
    rdma-read 'wrong data: byte'
if soft 0 "$tool" selftest && says ok rdma-write us; then
    expect selftest-wrong-write faulty 'corrupt what=payload op=write count=1' \
        rdma-write 'wrong data: byte'
else
    skip selftest-wrong-write "this rdma-core has no RDMA write"
fi
expect selftest-register faulty 'fail cmd=reg_mr errno=ENOMEM after=1' register \
    'ibv_reg_mr: Cannot allocate'
expect selftest-ah faulty 'fail cmd=create_ah errno=ENOMEM after=1' ah \
    'ibv_create_ah: Cannot allocate'
expect selftest-deadline faulty 'pause for=100s' send \
    'no completion .* within 1 s'

selftest_no_objects()
{
    SOFTEFA_FAULTS='fail cmd=create_qp errno=ENOMEM' soft 1 "$tool" selftest &&
        says FAIL objects 'efadv_create_qp_ex: Cannot allocate' limit
}
expect selftest-no-objects selftest_no_objects

# ---------------------------------------------------------------- two hosts

port=$(free_port)
server=

# serve [VARIABLE=VALUE...]: starts one, waits until it listens
serve()
{
    local fabric_env=("$@")

    port=$(free_port)
    limited env "${fabric_env[@]}" "$EFARUN" --soft --quiet -- "$tool" \
        doctor echo --server --once -a 127.0.0.1 -P "$port" -t 2 \
        > "$TMPDIR/server" 2>&1 < /dev/null &
    server=$!
    wait_port "$port" "$server"
}

# served STATUS: it has ended with that
served()
{
    local status=0

    wait "$server" || status=$?
    [ "$status" = "$1" ]
}

echo_refused()
{
    soft 1 "$tool" doctor echo -P "$port" 127.0.0.1 &&
        says FAIL connect 'refused' 'echo --server'
}
expect echo-no-server echo_refused

echo_is_well()
{
    serve && soft 0 "$tool" doctor echo -P "$port" 127.0.0.1 &&
        says ok send '8 messages' && says ok receive '8 messages' && served 0 &&
        grep -q '^ok *receive' "$TMPDIR/server" &&
        serve && soft 0 "$tool" -j doctor echo -P "$port" 127.0.0.1 && json &&
        served 0
}
expect echo-well echo_is_well

# echo_broken CLIENT_PLAN SERVER_PLAN CHECK TEXT NEXT SERVER_TEXT SERVER_STATUS
echo_broken()
{
    serve "SOFTEFA_FAULTS=$2" &&
        SOFTEFA_FAULTS=$1 soft 1 "$tool" doctor echo -t 1 -P "$port" 127.0.0.1 &&
        says FAIL "$3" "$4" "$5" && served "$7" &&
        grep -qE "$6" "$TMPDIR/server"
}
expect echo-unreachable echo_broken unreachable '' send \
    'TCP passes, SRD does not from here .*status UNREACHABLE' \
    'security group: here an outbound rule' 'FAIL +receive .*status UNREACHABLE' 1
expect echo-unreachable-back echo_broken '' unreachable receive \
    'TCP passes, SRD does not from the other side .*status UNREACHABLE' \
    'security group: here an inbound rule' 'FAIL +send .*status UNREACHABLE' 1
expect echo-unresponsive echo_broken unresponsive '' send 'status UNRESPONSIVE' \
    'security group' 'FAIL +receive' 1
expect echo-deadline echo_broken 'pause for=100s' '' send \
    'no completion within the deadline' 'security group' 'FAIL +receive' 1
expect echo-other-subnet echo_broken 'fail cmd=create_ah errno=EINVAL' '' \
    address 'device here refuses' subnet 'device there refuses' 1
expect echo-no-queue-pair echo_broken 'status code=9' '' send \
    'status REMOTE_QPN, the remote queue pair does not exist' exited 'FAIL +receive' 1
expect echo-wrong-content echo_broken 'corrupt what=payload count=1' '' send \
    '7 arrived intact, 1 with wrong' report 'FAIL +receive .*wrong' 1
# killed when it is to send, after all of the client's messages have come
expect echo-server-dies echo_broken '' 'kill at=fetch' tcp \
    'other side went away' 'output of the other side' . 137

# Whoever else answers there is not believed
echo_stranger()
{
    local status=0

    python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
s.settimeout(int(sys.argv[2]))
c = s.accept()[0]
c.sendall(b"HTTP/1.1 400 Bad Request\r\n" + b"x" * 100)
c.settimeout(int(sys.argv[2]))
while c.recv(4096):
    pass' "$port" "$hang_limit" 2> /dev/null &
    server=$!
    wait_port "$port" "$server" &&
        soft 1 "$tool" doctor echo -P "$port" 127.0.0.1 || status=1
    wait "$server"
    [ "$status" = 0 ] && says FAIL tcp 'no srdtool doctor echo' port
}
expect echo-stranger echo_stranger

finish
