#!/usr/bin/env bash
# shellcheck disable=SC2016 # what is evaluated later
# In a guest of contrib/vm.sh with two devices, started by vm.sh: the device under
# Linux's own efa driver, with nothing preloaded but UCX's module.
#
#   vm_guest.sh [verbs|gtest|ucx|tools|kernel|removal|surprise|lost|pair]...
#
#   verbs    ibv_devinfo, perftest, pyverbs' own tests
#   gtest    our suites device, uct, ucp
#   ucx      ucx_perftest, an MPI program of two ranks
#   tools    srdtool doctor and selftest
#   kernel   what the kernel counts and forbids, beside what srdtool shows
#   removal  the device or its driver is taken away under traffic, which it waits for
#   surprise the device is off the bus, or reset, without a word to the driver
#   lost     with the faults of vm.sh's part: events and interrupts are lost
#   pair     in two guests: one talks to the other
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# Emulated processors: fewer iterations
TEST_SCALE=${VM_SCALE:-5}
real_efarun=$EFARUN
here=$(cd "$(dirname "$0")" && pwd)

# efarun_here FILE COMMAND...: an efarun that knows no Soft-EFA, for scripts that
# ask for one: what it starts runs under COMMAND
efarun_here()
{
    local file=$1
    shift

    {
        echo '#!/bin/bash'
        echo 'while :; do case $1 in'
        echo '--devices|--profile|--seed) shift 2 ;;'
        echo '--) shift; break ;; --*) shift ;; *) break ;; esac; done'
        echo "exec $* \"\$@\""
    } > "$file"
    chmod +x "$file"
}

# script NAME EFARUN FILE: a script of this directory, in the convention of all
script()
{
    local status=0

    EFARUN=$2 TEST_SCALE=$TEST_SCALE limited "$here/$3" > "$TMPDIR/script" 2>&1 ||
        status=$?
    add_results "$TMPDIR/script"
    [ "$status" -le 1 ] || not_ok "$1" "status $status"
}

test_verbs()
{
    local out=$TMPDIR/devinfo device

    ibv_devinfo -v > "$out" 2>&1
    for device in efa_0 efa_1; do
        if grep -q "hca_id:.*$device" "$out" &&
               [ "$(grep -c 'PORT_ACTIVE' "$out")" = 2 ]; then
            ok "ibv_devinfo: $device"
        else
            not_ok "ibv_devinfo: $device" "$(head -n 3 "$out")"
        fi
    done

    efarun_here "$TMPDIR/plain"
    # an emulated processor has none that perftest believes
    PERFTEST_ZERO=y script perftest "$TMPDIR/plain" softefa-perftest.sh

    mkdir "$TMPDIR/pyverbs"
    cp -r /usr/share/doc/rdma-core/tests "$TMPDIR/pyverbs/" 2> /dev/null ||
        cp -r /usr/share/doc/python3-pyverbs/tests "$TMPDIR/pyverbs/" || {
        not_ok "pyverbs" "its tests are not installed"
        return
    }
    find "$TMPDIR/pyverbs" -name '*.gz' -exec gunzip -f {} +
    (cd "$TMPDIR/pyverbs" &&
     PYTHONPATH=$PWD:$PWD/tests limited python3 \
        "$here/softefa-pyverbs.py" test_efadv test_efa_srd) \
        > "$TMPDIR/script" 2> "$TMPDIR/err"
    add_results "$TMPDIR/script"
    grep -q '^ok ' "$TMPDIR/script" ||
        not_ok "pyverbs" "$(tail -n 1 "$TMPDIR/err")"
}

# shows FILE COMMAND...: to its end, or until it has written nothing to the file for
# too long: emulated, some need as long as that in all
shows()
{
    local out=$1 process size=0 now since=$SECONDS
    shift

    "$@" > "$out" 2>&1 < /dev/null &
    process=$!
    while kill -0 "$process" 2> /dev/null; do
        sleep 0.5
        now=$(stat -c %s "$out")
        if [ "$now" != "$size" ]; then
            size=$now
            since=$SECONDS
        elif [ $((SECONDS - since)) -ge "$hang_limit" ]; then
            kill -ABRT "$process"
            sleep 1
            kill -KILL "$process"
            break
        fi
    done 2> /dev/null
    wait "$process"
}

# gtest PROGRAM FILTER COMMAND...: a line for each of its tests
gtest()
{
    local program=$1 filter=$2 out=$TMPDIR/$1 status=0
    shift 2

    # without what jobs.sh has set
    shows "$out" env -u UCX_TLS -u UCX_EFA_STATS -u XDG_RUNTIME_DIR "$@" \
        "$BUILD/test/gtest/$program" --gtest_filter="$filter" || status=$?
    awk -v name="$program: " '
        / Skipped$/ { getline why }
        /^\[ .* ms\)$/ { sub(",", "", $4)
            if ($2 == "OK") print "ok " name $4
            if ($2 == "SKIPPED") print "skip " name $4 ": " why
            if ($2 == "FAILED") print "not ok " name $4 ": see above"
        }' "$out" > "$TMPDIR/script"
    add_results "$TMPDIR/script"
    if [ "$status" != 0 ]; then
        grep -B 12 -E '^\[  FAILED  \] .* ms\)' "$out" | sed 's/^/    /' | tail -n 60
        # not by a test that failed
        tail -n 1 "$out" | grep -qE 'FAILED TESTS?$' ||
            not_ok "$program" "status $status at $(sed -n 's/^\[ RUN      \] //p' \
                "$out" | tail -n 1): $(tail -n 1 "$out")"
    fi
}

# left_out NAME WHY FILTER: of a suite; adds to $out_filter
left_out()
{
    skip "$1" "$2 ($3)"
    out_filter=$out_filter:$3
}

test_gtest()
{
    local out_filter=

    left_out "device: faults" "a plan in the environment: here vm.sh --faults" \
        "*fault*"
    left_out "device: options" "of the device: here vm.sh's" \
        "order.*:*turned_round*:rdma_limit.*:object_limits.*:*as_many_as_asked_for:*of_another_host"
    left_out "device: files of the fabric" "the host's" "left_behind.*:*stopped*"
    left_out "device: what is played" "here it is the kernel's" \
        "netlink.*:paths.pci_device:descriptor.of_the_parent*:signals.*"
    left_out "device: counters" "the kernel keeps values for 10 ms, and counts its own" \
        "counters*"
    left_out "device: direct doorbells" "libefa of Debian 12 does not tell where" \
        "direct*:*doorbells*"
    left_out "device: memfd for a dma-buf" "the kernel takes dma-bufs only" "dmabuf.*"
    left_out "device: a line of the device" "softefa-pci prints it" "cq_ring.overrun"
    left_out "device: all memory regions" "262144 system calls, emulated" "objects.mrs"
    if [ ! -e /sys/class/infiniband/efa_0/ports/1/hw_counters/rdma_write_wrs ]; then
        left_out "device: RDMA write" "the driver of this kernel has none" \
            "mr.remote_write*"
    fi
    gtest test_device "-${out_filter#:}"

    out_filter=
    left_out "uct: faults and limits" "of Soft-EFA's environment" \
        "*killed_at*:deadline_test.ext_ack:deadline_test.retries*:exhaust_test.*:stage*:matrix*:reset_test.*:rma_device.*:rma_errors.responder_gives*:trace_test.faults"
    left_out "uct: resets" "softefa_inject() is of the process's own device" \
        "domain_test.*reset:inside_test.re*:inside_test.given_up:inside_test.handles_given_up"
    left_out "uct: device numbers" "limits, and a device that ends with its process" \
        "dead_test.unplugged:dead_test.number*"
    left_out "uct: memfd for a dma-buf" "the kernel takes dma-bufs only" "dmabuf_test.*"
    left_out "uct: thousands of addresses" "time: an address handle is a command" \
        "malformed_test.invented*"
    left_out "uct: a message before an operation, to another function" \
        "softefa-pci: its sender may be told before it is in the receiver's queue" \
        "*fence_test.*/am_*"
    gtest test_uct "-align_test.*:connect_test.open_close*$out_filter" \
        "$real_efarun" --quiet
    # with few messages the first ones decide: their headers, their memory
    TEST_SCALE=25 gtest test_uct "align_test.*:connect_test.open_close*" \
        "$real_efarun" --quiet

    out_filter=
    left_out "ucp: four devices" "of Soft-EFA's environment" "ucp_devices.mixed"
    gtest test_ucp "-${out_filter#:}" "$real_efarun" --quiet
}

test_ucx()
{
    # shellcheck source=test/apps/jobs.sh
    . "$here/jobs.sh"
    perftest_find
    local test

    for test in tag_lat tag_bw; do
        if pair_run "$TMPDIR" "$real_efarun" --quiet "${perftest[@]}" -t "$test" \
            -n "$(scaled 4000)" -w 10 -p @PORT@ -- -- 127.0.0.1; then
            ok "ucx_perftest $test over srd"
        else
            not_ok "ucx_perftest $test over srd" "$pair_why"
        fi
    done
    efarun=("$real_efarun" --quiet)
    job "Open MPI mpi_p2p, 2 ranks" 2 mpirun.openmpi "${openmpi[@]}" -np 2 \
        "${efarun[@]}" "$APPS/mpi_p2p.openmpi" "$TEST_SCALE"
}

test_tools()
{
    local status=0

    srdtool doctor > "$TMPDIR/doctor" 2>&1 || status=$?
    if grep -q 'ok .*device .*efa_0' "$TMPDIR/doctor" &&
           ! grep -q '^fail' "$TMPDIR/doctor"; then
        ok "srdtool doctor"
    else
        not_ok "srdtool doctor" "status $status: $(grep -m 1 '^fail' "$TMPDIR/doctor")"
    fi
    check "srdtool selftest" srdtool selftest
}

# rdma_count WHAT: of efa_0, as the kernel has them
rdma_count()
{
    rdma -dd resource show efa_0 | tr ' ' '\n' | grep -A 1 -x "$1" | tail -n 1
}

# What efa_0 has received
received()
{
    cat /sys/class/infiniband/efa_0/ports/1/hw_counters/recv_wrs
}

test_kernel()
{
    local holder user what ours theirs before hidden

    if ! command -v rdma > /dev/null; then
        not_ok "rdma" "no rdma: install iproute2"
        return
    fi

    # shellcheck disable=SC2034 # evaluated below
    before=$(received)
    # A process that holds an interface, and waits
    "$real_efarun" --quiet env UCX_TLS=srd,self UCX_NET_DEVICES=efa_0:1 \
        ucx_perftest -t tag_lat -p 15001 > "$TMPDIR/holder" 2>&1 &
    holder=$!
    wait_port 15001 "$holder"
    # not a function: the process must be the one that is ended
    timeout -k 10 "$hang_limit" "$real_efarun" --quiet env UCX_TLS=srd,self UCX_NET_DEVICES=efa_0:1 \
        ucx_perftest -t tag_lat -n 100000000 -p 15001 127.0.0.1 > "$TMPDIR/user" 2>&1 &
    user=$!
    # both have all that they need
    until_true eval '[ "$(received)" -gt $((before + 100)) ]'
    hidden="this kernel lists SRD's to a newer rdma only (-dd)"
    srdtool res > "$TMPDIR/res" 2>&1
    for what in qp cq pd; do
        theirs=$(rdma_count "$what")
        ours=$(srdtool res show "$what" dev efa_0 2> /dev/null | grep -c "efa_0")
        if [ "$what $theirs" = "qp 0" ]; then
            skip "rdma res and srdtool res: qp" "$hidden"
        elif [ "$theirs" = "$ours" ] && [ "$theirs" -gt 0 ]; then
            ok "rdma res and srdtool res: $theirs $what"
        else
            not_ok "rdma res and srdtool res: $what" \
                "rdma has $theirs, srdtool $ours: $(cat "$TMPDIR/res")"
        fi
    done
    # The owner: rdma names the process
    what=$([ "$(rdma_count qp)" = 0 ] && echo cq || echo qp)
    if rdma -dd resource show "$what" 2>&1 | grep -q "comm ucx_perftest"; then
        ok "rdma res show $what names the owner"
    else
        not_ok "rdma res show $what names the owner" \
            "$(rdma resource show "$what" 2>&1)"
    fi
    kill "$user" "$holder"
    wait "$user" "$holder" 2> /dev/null
    if hang_limit=120 until_true eval '[ "$(rdma_count qp)" = 0 ] && [ "$(rdma_count mr)" = 0 ]'; then
        ok "what was killed holds nothing"
    else
        not_ok "what was killed holds nothing" "$(rdma resource show efa_0)"
    fi

    check "a user's memlock limit is enforced" \
        setpriv --reuid 65534 --clear-groups \
        bash -c 'ulimit -l 256; exec python3 -c "$0"' '
import errno, sys
from pyverbs.device import Context
from pyverbs.pd import PD
from pyverbs.mr import MR
from pyverbs.pyverbs_error import PyverbsRDMAError
pd = PD(Context(name="efa_0"))
MR(pd, 1 << 16, 1)
try:
    MR(pd, 1 << 20, 1)
except PyverbsRDMAError as e:
    sys.exit(e.error_code != errno.ENOMEM)
sys.exit("1 MiB was pinned")'

    check "a completion channel is opened 10000 times" python3 -c '
from pyverbs.device import Context
from pyverbs.cq import CompChannel
with Context(name="efa_0") as c:
    for i in range(10000):
        CompChannel(c).close()'
    check "and events still come" srdtool selftest
}

# traffic NAME TAKE GIVE: a transfer goes on over efa_0 while it is taken away (the
# driver has no disassociate_ucontext: the kernel waits for those who use it) and
# comes back; both sides must end well
traffic()
{
    local name=$1 take=$2 give=$3 server user before status=0

    # shellcheck disable=SC2034 # evaluated below
    before=$(received)

    export UCX_SRD_RECOVERY_TIMEOUT=300s UCX_SRD_GONE_TIMEOUT=300s
    "$real_efarun" --quiet env UCX_TLS=srd,self UCX_NET_DEVICES=efa_0:1 \
        ucx_perftest -t tag_bw -s 4000 -p 15002 > "$TMPDIR/server" 2>&1 &
    server=$!
    wait_port 15002 "$server"
    # not a function: the process must be the one that is ended
    timeout -k 10 "$hang_limit" "$real_efarun" --quiet env UCX_TLS=srd,self UCX_NET_DEVICES=efa_0:1 \
        ucx_perftest -t tag_bw -s 4000 -n 40000 -w 10 -p 15002 127.0.0.1 \
        > "$TMPDIR/client" 2>&1 &
    user=$!
    # well after both have connected
    until_true eval '[ "$(received)" -gt $((before + 1000)) ]'
    eval "$take" || not_ok "$name" "cannot take it away"
    sleep 1
    eval "$give" || not_ok "$name" "cannot give it back"
    wait "$user" || status=$?
    if [ "$status" = 0 ] && wait "$server"; then
        ok "$name"
    else
        not_ok "$name" "client: status $status: $(tail -n 2 "$TMPDIR/client") server: $(tail -n 2 "$TMPDIR/server")"
    fi
    kill "$server" 2> /dev/null
    wait "$server" 2> /dev/null
}

test_removal()
{
    local pci

    pci=$(basename "$(readlink -f /sys/class/infiniband/efa_0/device)")
    traffic "unbind of the driver waits for traffic, and bind" \
        "echo $pci > /sys/bus/pci/drivers/efa/unbind" \
        "echo $pci > /sys/bus/pci/drivers/efa/bind"
    check "then the device works" srdtool selftest
    # not by device_del: QEMU 11.1 aborts when a vfio-user device is unplugged
    traffic "removal of the PCI device waits for traffic, and return" \
        "echo 1 > /sys/bus/pci/devices/$pci/remove" "echo 1 > /sys/bus/pci/rescan"
    check "then the device works again" srdtool selftest
}

# busy PORT: two processes send to each other over efa_0; sets busy to them
busy()
{
    local before

    # shellcheck disable=SC2034 # evaluated below
    before=$(received)
    # not functions: these processes must be the ones that are ended
    rm -f "$TMPDIR"/{server,client}.log
    timeout -k 10 "$hang_limit" "$real_efarun" --quiet env UCX_TLS=srd,self \
        UCX_NET_DEVICES=efa_0:1 UCX_LOG_FILE="$TMPDIR/server.log" \
        ucx_perftest -e -t tag_bw -s 4000 -p "$1" > "$TMPDIR/server" 2>&1 &
    busy=($!)
    wait_port "$1" "${busy[0]}"
    timeout -k 10 "$hang_limit" "$real_efarun" --quiet env UCX_TLS=srd,self \
        UCX_NET_DEVICES=efa_0:1 UCX_LOG_FILE="$TMPDIR/client.log" \
        ucx_perftest -e -t tag_bw -s 4000 -n 100000000 -w 10 -p "$1" 127.0.0.1 \
        > "$TMPDIR/client" 2>&1 &
    busy+=($!)
    until_true eval '[ "$(received)" -gt $((before + 1000)) ]'
}

# says NAME PATTERN COMMAND...: it fails, and says this
says()
{
    local name=$1 pattern=$2
    shift 2

    if "$@" > "$TMPDIR/says" 2>&1; then
        not_ok "$name" "it succeeds"
    elif ! grep -qE "$pattern" "$TMPDIR/says"; then
        not_ok "$name" "does not say '$pattern': $(grep -m 1 FAIL "$TMPDIR/says")"
    else
        ok "$name"
    fi
}

# surprise NAME PORT TAKE GIVE: the device is gone under traffic, which nobody is told
# of: the driver has no event for it, and finds out by a command that has no answer
surprise()
{
    local name=$1 port=$2 take=$3 give=$4 pci side status=0

    pci=$(basename "$(readlink -f /sys/class/infiniband/efa_0/device)")
    busy "$port"
    eval "$take" || not_ok "$name" "cannot take it away"
    says "$name: selftest" 'FAIL +open .*ibv_open_device: (Timer expired|No such device)' \
        srdtool selftest efa_0
    says "$name: doctor" 'FAIL +abilities .*efa_0: ibv_open_device: No such device' \
        srdtool doctor
    # srd asks the device when nothing ends; who only receives sends keepalives. The
    # command takes the driver's 30 s, the device then has RECOVERY_TIMEOUT
    for side in client server; do
        check "$name: the $side is told" \
            until_true grep -q 'error handler called' "$TMPDIR/$side.log"
    done
    # ucx_perftest goes on all the same. The kernel closes what they had open
    kill "${busy[@]}"
    wait "${busy[@]}" 2> /dev/null || status=$?
    if [ "$status" = 143 ]; then
        ok "$name: programs end"
    else
        not_ok "$name: programs end" "status $status: $(tail -n 2 "$TMPDIR/client")"
    fi
    check "$name: removal ends" limited sh -c "echo 1 > /sys/bus/pci/devices/$pci/remove"
    eval "$give" || not_ok "$name" "cannot give it back"
    echo 1 > /sys/bus/pci/rescan
    until_true [ -e /sys/class/infiniband/efa_0 ]
    check "$name: it works again" srdtool selftest efa_0
    # The driver cannot destroy objects of a device that does not answer, and ib_core
    # complains that they stay: no fault of the device. Others are vm.sh's to see
    dmesg | grep -E 'WARNING:|BUG:' |
        grep -vE 'infiniband/core/(rdma_core|uverbs_main|restrack)\.c:' > "$TMPDIR/complaints"
    [ -s "$TMPDIR/complaints" ] || dmesg --clear
}

test_surprise()
{
    local pci

    pci=$(basename "$(readlink -f /sys/class/infiniband/efa_0/device)")
    # what is said of objects that stay must not be on the console, either
    dmesg --console-level 3
    surprise "surprise removal" 15010 "vm-host vanish 0 > /dev/null" \
        "vm-host return 0 > /dev/null"
    surprise "PCI reset" 15011 "echo 1 > /sys/bus/pci/devices/$pci/reset" true
}

# With --faults 'lose_event dev=0 count=1; lose_interrupt dev=1 vector=1 count=1'
test_lost()
{
    local pci what="FAIL +event .*no event within .* of a CQ that was armed"

    says "a lost event: selftest" "$what" srdtool selftest efa_0
    check "the next one comes" srdtool selftest efa_0
    pci=$(basename "$(readlink -f /sys/class/infiniband/efa_1/device)")
    says "a lost interrupt: selftest" "$what" srdtool selftest efa_1
    # the driver arms an event queue when it was interrupted
    says "no interrupt of that event queue comes any more: selftest" "$what" \
        srdtool selftest efa_1
    echo "$pci" > /sys/bus/pci/drivers/efa/unbind
    echo "$pci" > /sys/bus/pci/drivers/efa/bind
    until_true [ -e /sys/class/infiniband/efa_1 ]
    check "until the driver is bound again" srdtool selftest efa_1
}

# pair_file NAME: what one guest tells the other
pair_file()
{
    echo "/run/vm/pair.$1"
}

# between NAME PORT SERVER... -- CLIENT...: one side in each guest
between()
{
    local name=$1 port=$2 ready status=0 server=() process
    shift 2

    ready=$(pair_file "$port")
    while [ "$1" != -- ]; do
        server+=("$1")
        shift
    done
    shift
    if [ "$VM_GUEST" = 0 ]; then
        "${server[@]}" > "$TMPDIR/side" 2>&1 < "$pair_stdin" &
        process=$!
        wait_port "$port" "$process" && : > "$ready"
        wait "$process" || status=$?
    else
        until_true [ -e "$ready" ]
        limited "$@" > "$TMPDIR/side" 2>&1 < "$pair_stdin" || status=$?
    fi
    if [ "$status" = 0 ]; then
        ok "$name"
    else
        not_ok "$name" "status $status: $(tail -n 3 "$TMPDIR/side")"
    fi
}

# Open MPI starts its daemon in the other guest by what it takes for ssh
pair_mpi()
{
    local task agent status=0

    task=$(pair_file mpi)
    agent=$(pair_file agent)            # the daemon, too, wants it to be there
    if [ "$VM_GUEST" = 1 ]; then
        until_true [ -e "$task" ]
        # it ends with the job; what went wrong the other guest says
        limited bash "$task" > "$TMPDIR/daemon" 2>&1 < /dev/null || status=$?
        echo "$status" > "$task.status.new"
        mv "$task.status.new" "$task.status"
        return
    fi
    {
        echo '#!/bin/bash'
        echo 'shift'
        echo "echo \"\$*\" > $task.new && mv $task.new $task"
        echo "until [ -e $task.status ]; do sleep 0.2; done"
        echo "exit \$(cat $task.status)"
    } > "$agent"
    chmod +x "$agent"
    limited mpirun.openmpi "${openmpi[@]}" --mca plm_rsh_agent "$agent" \
        --host guest0,guest1 -np 2 -x UCX_TLS "$real_efarun" --quiet \
        "$APPS/mpi_p2p.openmpi" "$TEST_SCALE" > "$TMPDIR/side" 2>&1 \
        < /dev/null || status=$?
    if [ "$status" = 0 ] && grep -qx '2 ranks, 0 errors' "$TMPDIR/side"; then
        ok "Open MPI mpi_p2p, a rank in each guest"
    else
        not_ok "Open MPI mpi_p2p, a rank in each guest" \
            "status $status: $(tail -n 3 "$TMPDIR/side")"
    fi
}

test_pair()
{
    # shellcheck source=test/apps/jobs.sh
    . "$here/jobs.sh"
    perftest_find
    local port=15000 arguments ucx=("$real_efarun" --quiet "${perftest[@]}")
    local device=(-d efa_0 -x 0 -F -n "$(scaled 2000)")

    between "srdtool doctor echo, to the other guest" "$port" \
        srdtool doctor echo --server --once --port "$port" -- \
        srdtool doctor echo guest0 --timeout 120 --port "$port"
    for arguments in "ib_send_lat -c SRD -s 64" "ib_send_lat -c UD -s 4096" \
        "ib_read_bw -c SRD -s 65536"; do
        port=$((port + 1))
        # shellcheck disable=SC2086 # words
        between "$arguments, to the other guest" "$port" \
            $arguments "${device[@]}" -p $port -- \
            $arguments "${device[@]}" -p $port guest0
    done
    for arguments in "tag_lat -s 8" "tag_bw -s 8000" "tag_bw -s 1000000" \
        "ucp_get -s 100000" "ucp_put_bw -s 100000"; do
        port=$((port + 1))
        # shellcheck disable=SC2086 # words
        between "ucx_perftest $arguments, to the other guest" $port \
            "${ucx[@]}" -t $arguments -n "$(scaled 2000)" -w 10 -p $port -- \
            "${ucx[@]}" -t $arguments -n "$(scaled 2000)" -w 10 -p $port guest0
    done
    pair_mpi
}

for part in "${@:-verbs}"; do
    "test_$part"
done
finish
