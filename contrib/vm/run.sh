# shellcheck shell=bash
# Sourced by vm.sh: starts guests and their PCI functions, watches them, says what
# became of them.
#
#   softefa-pci <- socket -> QEMU (vfio-user-pci), memory shared by a memfd
#   guest: ports output, status, host; the console is a file
#   vm.sh: copies the output, serves requests (vm-host) by QMP, ends what hangs
#
# A guest ends by switching itself off. Its status comes through a port, so that no
# message of the kernel is taken for it; without one the console tells why.
# shellcheck disable=SC2054,SC2154 # commas are QEMU's; work and options vm.sh's

vm_pids=()                              # of all that was started

# ---- what the guest is told ----

# vm_shares: what it sees of this machine; completes shares
vm_shares()
{
    local dir known list=("$top" "$build" ${shares[@]+"${shares[@]}"}) seen=()

    shares=("modules:$kernel_dir/lib/modules:ro")
    guest_shares="modules:/lib/modules"
    for dir in "${list[@]}"; do
        # what lies in one that is shared is seen there
        for known in ${seen[@]+"${seen[@]}"}; do
            case $dir/ in "$known"/*) continue 2 ;; esac
        done
        shares+=("dir${#seen[@]}:$dir:ro")
        guest_shares="$guest_shares dir${#seen[@]}:$dir"
        seen+=("$dir")
    done
}

# vm_command [COMMAND...]: of the guest; without one that of its shell
vm_command()
{
    local shared=$work/shared

    cp "$top/contrib/vm/guest" "$top/contrib/vm/vm-host" "$shared/" || return
    {
        printf '%s=%q\n' GUESTS "$guests" DEVICES "$devices" DIR "$PWD" \
            SHARES "$guest_shares" SHELL_WANTED "$shell"
    } > "$shared/config"
    {
        printf 'export PATH=%q:%s\n' "$build/src/tools" "\$PATH"
        printf 'export %s=%q\n' TOP "$top" BUILD "$build" \
            EFARUN "$build/src/tools/efarun" APPS "$build/test/apps" \
            TERM "${TERM:-dumb}"
        [ $# = 0 ] || { printf '%q ' "$@" && echo; }
    } > "$shared/command"
}

# ---- the PCI functions ----

# vm_function GUEST N: starts softefa-pci; waits for its socket
vm_function()
{
    local socket=$work/guest$1/efa$2 log=$work/guest$1/efa$2.log pid i

    rm -f "$socket"
    SOFTEFA_FABRIC=$fabric SOFTEFA_DEVICES=$((guests * devices)) \
        SOFTEFA_PROFILE=$profile SOFTEFA_FAULTS=$faults \
        "$softefa_pci" --socket "$socket" --device $(($1 * devices + $2)) \
        >> "$log" 2>&1 < /dev/null &
    pid=$!
    echo $pid > "$socket.pid"
    for ((i = 0; i < 600; ++i)); do
        [ ! -S "$socket" ] || return 0
        kill -0 $pid 2> /dev/null || break
        sleep 0.1
    done
    vm_say "softefa-pci has not come up: $(tail -n 1 "$log")"
    return 1
}

vm_function_end()
{
    local pid

    pid=$(cat "$work/guest$1/efa$2.pid" 2> /dev/null) || return 0
    kill "$pid" 2> /dev/null
    timeout 10 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2> /dev/null
    rm -f "$work/guest$1/efa$2.pid"
}

# vm_function_signal GUEST N WHAT: off the bus, or back
vm_function_signal()
{
    local pid signal=USR1

    [ "$3" = vanish ] || signal=USR2
    if ! pid=$(cat "$work/guest$1/efa$2.pid" 2> /dev/null) ||
           ! kill -$signal "$pid"; then
        echo "softefa-pci of function $2 does not run"
        return 1
    fi
}

# vm_function_json GUEST N: as an argument of -device and device_add
vm_function_json()
{
    # no-posted-writes: a register's value must be there when the driver asks for it
    printf '{"driver":"vfio-user-pci","id":"efa%s","bus":"port%s",' "$2" "$2"
    printf '"x-no-posted-writes":true,"socket":{"type":"unix","path":"%s"}}' "$work/guest$1/efa$2"
}

# ---- QEMU ----

# vm_arguments GUEST: sets arguments
vm_arguments()
{
    local dir=$work/guest$1 i tag path options share
    local append="console=ttyS0 panic=-1 oops=panic loglevel=$loglevel"

    # on a busy machine a timer may seem not to work, and processors to hang
    append="$append no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
    # the kernel's tests of its ciphers: time, and one fails in 6.12 when emulated
    append="$append cryptomgr.notests"
    append="$append vm.guest=$1 $kernel_arguments"
    arguments=(-nodefaults -display none -no-reboot -no-user-config
        -machine q35,memory-backend=memory
        -object "memory-backend-memfd,id=memory,size=$memory,share=on"
        -m "$memory" -smp "$processors" -kernel "$kernel_image"
        -initrd "$work/initrd" -append "$append"
        -chardev "file,id=console,path=$dir/console" -serial chardev:console
        -chardev "pipe,id=qmp,path=$dir/qmp" -mon chardev=qmp,mode=control
        -device virtio-serial-pci
        -chardev "file,id=output,path=$dir/output"
        -device virtserialport,chardev=output,name=output
        -chardev "file,id=status,path=$dir/status"
        -device virtserialport,chardev=status,name=status
        -chardev "pipe,id=host,path=$dir/host"
        -device virtserialport,chardev=host,name=host)
    if [ "$accel" = kvm ]; then
        arguments+=(-accel kvm -cpu host)
    else
        arguments+=(-accel "tcg,thread=multi" -cpu qemu64)
    fi
    [ "$shell" = n ] ||
        arguments+=(-chardev stdio,id=shell,signal=off
                    -device virtconsole,chardev=shell)
    for share in "root:$userland:ro" "vm:$work/shared:rw" \
        ${shares[@]+"${shares[@]}"}; do
        IFS=: read -r tag path options <<< "$share"
        [ "$options" = rw ] && options= || options=,readonly=on
        arguments+=(-fsdev "local,id=$tag,path=$path,security_model=none,multidevs=remap$options"
                    -device "virtio-9p-pci,fsdev=$tag,mount_tag=$tag")
    done
    for ((i = 0; i < devices; ++i)); do
        arguments+=(-device "pcie-root-port,id=port$i,chassis=$((i + 1)),slot=$((i + 1))"
                    -device "$(vm_function_json "$1" $i)")
    done
    [ "$guests" = 1 ] || vm_arguments_net "$1"
}

# vm_arguments_net GUEST: the first one has a hub, to which the others connect
vm_arguments_net()
{
    local i nic="virtio-net-pci,mac=52:54:00:00:00:0$1"

    if [ "$1" != 0 ]; then
        arguments+=(-netdev "stream,id=net,addr.type=unix,addr.path=$work/net$1,reconnect-ms=200"
                    -device "$nic,netdev=net")
        return
    fi
    arguments+=(-netdev hubport,id=net,hubid=0 -device "$nic,netdev=net")
    for ((i = 1; i < guests; ++i)); do
        arguments+=(-netdev "stream,id=net$i,server=on,addr.type=unix,addr.path=$work/net$i"
                    -netdev "hubport,id=hub$i,hubid=0,netdev=net$i")
    done
}

# vm_accel: settles accel. There are machines whose /dev/kvm opens and where no
# guest gets anywhere: one that is asked for a first word tells, once a boot of the
# machine.
vm_accel()
{
    local known=$root_cache/vm-accel console=$work/accel boot pid i

    [ "$accel" = auto ] || return 0
    boot=$(cat /proc/sys/kernel/random/boot_id)
    if [ "$(sed -n 1p "$known" 2> /dev/null)" = "$boot" ]; then
        accel=$(sed -n 2p "$known")
        return
    fi
    accel=tcg
    if [ -w /dev/kvm ]; then
        "${qemu[@]}" -nodefaults -display none -no-reboot -no-user-config \
            -machine q35 -accel kvm -cpu host -m 256M -kernel "$kernel_image" \
            -append "earlyprintk=ttyS0 console=ttyS0 panic=-1" \
            -serial "file:$console" > "$console.log" 2>&1 < /dev/null &
        pid=$!
        for ((i = 0; i < 100; ++i)); do
            kill -0 $pid 2> /dev/null || break
            ! grep -q -a 'Kernel panic' "$console" 2> /dev/null || break
            sleep 0.1
        done
        ! grep -q -a 'Kernel panic' "$console" 2> /dev/null || accel=kvm
        kill -KILL $pid 2> /dev/null
        wait $pid 2> /dev/null
    fi
    printf '%s\n' "$boot" $accel > "$known"
}

# ---- requests of the guest ----

# vm_qmp COMMAND [EVENT]: waits for its answer, and for an event that has this text
vm_qmp()
{
    local line event=${2:-} answer=

    echo "$1" >&"$qmp_in"
    while [ -z "$answer" ] || [ -n "$event" ]; do
        read -r -t 60 line <&"$qmp_out" || {
            echo "QEMU does not answer${answer:+: no event $event}"
            return 1
        }
        case $line in
        *'"error"'*)
            echo "QEMU: $line"
            return 1
            ;;
        *'"return"'*) answer=y ;;
        *"$event"*)   event= ;;
        esac
    done
}

# vm_request GUEST WORD N: what vm-host asks; prints why not
vm_request()
{
    case $2:$3 in
    *:*[!0-9]*|*:) echo "no function '$3'"; return 1 ;;
    esac
    [ "$3" -lt "$devices" ] || { echo "no function $3"; return 1; }
    case $2 in
    remove)
        vm_qmp "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"efa$3\"}}" \
            "\"DEVICE_DELETED\""
        ;;
    add)
        vm_qmp "{\"execute\":\"device_add\",\"arguments\":$(vm_function_json "$1" "$3")}"
        ;;
    kill)
        vm_function_end "$1" "$3"
        ;;
    vanish|return)
        vm_function_signal "$1" "$3" "$2"
        ;;
    restart)
        vm_function_end "$1" "$3"
        vm_function "$1" "$3" 2>&1
        ;;
    *)
        echo "no request '$2'"
        return 1
        ;;
    esac
}

# vm_serve GUEST: until it is ended
vm_serve()
{
    local dir=$work/guest$1 qmp_in qmp_out host_in host_out word n answer

    # for reading and writing: no open waits for the other end
    exec {qmp_in}<> "$dir/qmp.in" {qmp_out}<> "$dir/qmp.out" \
        {host_in}<> "$dir/host.in" {host_out}<> "$dir/host.out"
    vm_qmp '{"execute":"qmp_capabilities"}' > /dev/null
    while read -r word n <&"$host_out"; do
        if answer=$(vm_request "$1" "$word" "$n"); then
            answer=ok
        fi
        echo "${answer//$'\n'/ }" >&"$host_in"
    done
}

# ---- a guest ----

# vm_start GUEST: sets started to QEMU's process
vm_start()
{
    local dir=$work/guest$1 i name

    mkdir -p "$dir" "$work/shared/guest$1"
    for name in output qmp.in qmp.out host.in host.out; do
        mkfifo "$dir/$name" || return
    done
    for ((i = 0; i < devices; ++i)); do
        vm_function "$1" $i || return
    done
    if [ "$guests" = 1 ]; then
        cat "$dir/output" &
    else
        sed -u "s/^/$1: /" "$dir/output" &
    fi
    copies+=($!)
    vm_serve "$1" &
    vm_pids+=($!)
    vm_arguments "$1"
    if [ "$shell" = y ]; then
        "${qemu[@]}" "${arguments[@]}" 2> "$dir/qemu.log" <&3 &
    else
        "${qemu[@]}" "${arguments[@]}" > "$dir/qemu.log" 2>&1 < /dev/null &
    fi
    started=$!
    vm_pids+=("$started")
}

# vm_why GUEST: why there is no status
vm_why()
{
    local dir=$work/guest$1 i line

    if [ -s "$dir/status" ]; then
        cat "$dir/status"
        return
    fi
    line=$(grep -a -m 1 -o -E 'Kernel panic.*|vm: .*' "$dir/console")
    if [ -n "$line" ]; then
        echo "${line%$'\r'}"
        return
    fi
    for ((i = 0; i < devices; ++i)); do
        if [ -f "$dir/efa$i.pid" ] &&
               ! kill -0 "$(cat "$dir/efa$i.pid")" 2> /dev/null; then
            echo "softefa-pci of function $i has ended:" \
                "$(tail -n 1 "$dir/efa$i.log")"
            return
        fi
    done
    if [ -f "$work/late" ]; then
        echo "not finished after $limit s: it is at" \
            "'$(tail -n 1 "$dir/console" | tr -d '\r')' (--timeout)"
    elif [ -s "$dir/qemu.log" ]; then
        echo "QEMU: $(tail -n 1 "$dir/qemu.log")"
    else
        echo "it ended without a word; the console's last:" \
            "'$(tail -n 1 "$dir/console" | tr -d '\r')'"
    fi
}

# vm_warnings GUEST: what the kernel complained about
vm_warnings()
{
    grep -a -E 'BUG:|WARNING:|Oops|general protection|KASAN|UBSAN|Out of memory|lockup|blocked for more' \
        "$work/guest$1/console" "$work/shared/guest$1/dmesg" 2> /dev/null |
        sed 's/^[^:]*://; s/\r$//' | sort -u | head -n 5
}

# vm_wait GUEST PROCESS: until the guest has ended; its status, 125 if it has none
vm_wait()
{
    local status

    wait "$2"
    # one that never opened it leaves its copier waiting for that
    : <> "$work/guest$1/output"
    status=$(cat "$work/guest$1/status" 2> /dev/null)
    case $status in
    ''|*[!0-9]*)
        vm_say "guest $1: $(vm_why "$1")"
        [ "$keep" = n ] || vm_say "see $work/guest$1"
        status=125
        ;;
    esac
    if [ -n "$(vm_warnings "$1")" ]; then
        vm_say "guest $1: the kernel complained:"
        vm_warnings "$1" | sed 's/^/    /' >&2
        [ "$status" != 0 ] || status=124
    fi
    return "$status"
}

# vm_watch PROCESS...: ends them after the limit
vm_watch()
{
    sleep "$limit" &
    # the sleep must not outlive this
    # shellcheck disable=SC2064
    trap "kill $! 2> /dev/null; exit" TERM
    wait $!
    : > "$work/late"
    kill "$@" 2> /dev/null
}

# vm_run: all guests, with the command in $work/shared/command; the status is the
# first one that is not 0
vm_run()
{
    local i pids=() copies=() started status=0 one

    # in the background there is no standard input: the shell's is this one
    exec 3<&0
    for ((i = 0; i < guests; ++i)); do
        vm_start "$i" || return 125
        pids+=("$started")
    done
    vm_watch "${pids[@]}" &
    vm_pids+=($!)
    for ((i = 0; i < guests; ++i)); do
        one=0
        vm_wait "$i" "${pids[$i]}" || one=$?
        [ $status != 0 ] || status=$one
    done
    wait "${copies[@]}"
    return $status
}

vm_cleanup()
{
    local i j

    for i in ${vm_pids[@]+"${vm_pids[@]}"}; do
        kill "$i" 2> /dev/null
    done
    for ((i = 0; i < guests; ++i)); do
        for ((j = 0; j < devices; ++j)); do
            vm_function_end "$i" "$j"
        done
    done
    wait
    rm -rf "/dev/shm/softefa.$(id -u).$fabric"
}
