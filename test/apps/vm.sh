#!/usr/bin/env bash
# contrib/vm.sh: its options, what it says when a guest fails, and that a command's
# output and status come back; then the parts VM_PARTS ("tools ucx") of
# vm_guest.sh in guests, on the kernels of VM_KERNELS ("6.1"), with Soft-EFA's PCI
# functions and without libsoftefa. Skipped where no guest can be made: not root, no
# debootstrap, no network and nothing cached; and unless VM=y, which contrib/check.sh
# sets: what is cached takes some two minutes to make and 3 GB.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

kernels=${VM_KERNELS:-6.1}
# a part of them in CI; contrib/vm.sh --check: all
parts=${VM_PARTS:-tools ucx}

# vm STATUS NAME PATTERN ARGUMENTS...: it ends so, and says this
vm()
{
    local wanted=$1 name=$2 pattern=$3 status=0
    shift 3

    "$TOP/contrib/vm.sh" --build "$BUILD" "$@" > "$TMPDIR/out" 2>&1 \
        < /dev/null || status=$?
    if [ $status != "$wanted" ]; then
        not_ok "$name" "status $status: $(tail -n 1 "$TMPDIR/out")"
    elif ! grep -qE -e "$pattern" "$TMPDIR/out"; then
        not_ok "$name" "does not say '$pattern': $(tail -n 3 "$TMPDIR/out")"
    else
        ok "$name"
    fi
}

vm 0 "--help" '--kernel K ' --help
vm 2 "no command" 'no command' --devices 0
vm 2 "an unknown option" "unknown option '--devcies'" --devcies 0 true
vm 2 "too many devices" "--devices: a number from 0 to 16, not '17'" \
    --devices 17 true
vm 2 "an unknown profile" "efa0 to efa4, not 'efa9'" --profile efa9 true
vm 2 "an unknown accelerator" "not 'hvf'" --accel hvf true
vm 2 "a size without a unit" "--memory: a size as" --memory 512 true
vm 2 "a shell of two" 'for one guest' --guests 2 --shell
vm 2 "a build tree that is not there" 'no directory' --build "$TMPDIR/none" true
vm 2 "no softefa-pci" 'none is missing: build first' \
    --softefa-pci "$TMPDIR/none" true

if [ "${VM:-n}" != y ]; then
    skip "guests" "they take minutes the first time: VM=y runs them"
    finish
fi
if ! "$TOP/contrib/vm.sh" --build "$BUILD" --devices 0 --prepare \
        > "$TMPDIR/out" 2>&1 < /dev/null; then
    skip "guests" "$(tail -n 1 "$TMPDIR/out")"
    finish
fi

vm 2 "an unknown kernel" "no kernel '5.4'" --kernel 5.4 --devices 0 true
mkdir "$TMPDIR/empty"
vm 2 "a kernel that is none" 'make modules_install install' \
    --kernel "$TMPDIR/empty" --devices 0 true
vm 2 "a driver that is none" 'efa_main.c is missing' \
    --driver "$TMPDIR/empty" --devices 0 true
vm 7 "output and status of a command" '^guest0 it.s 6\.1\.' --devices 0 -- \
    bash -c "echo \"\$HOSTNAME it's \$(uname -r)\"; exit 7"
vm 125 "a kernel that panics" 'guest 0: Kernel panic' --devices 0 \
    --append rdinit=/none true

sources=${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa/roots/bookworm-vm-kernel/root/efa
vm 0 "a driver of one's own, a device that it does not know" '^ok +destroy' \
    --driver "$sources" --profile efa4 -- srdtool selftest

# A shell: what is typed when it is there
test_shell()
{
    local status=0 process

    mkfifo "$TMPDIR/typed"
    "$TOP/contrib/vm.sh" --build "$BUILD" --devices 0 --shell \
        < "$TMPDIR/typed" > "$TMPDIR/shell" 2>&1 &
    process=$!
    exec 5> "$TMPDIR/typed"
    # shellcheck disable=SC2016 # evaluated later, there
    until_true eval 'grep -q root@guest0 "$TMPDIR/shell" || ! kill -0 $process'
    # shellcheck disable=SC2016
    echo 'echo "6 times 7 is $((6 * 7))"; exit 5' >&5
    wait "$process" || status=$?
    exec 5>&-
    if [ "$status" = 5 ] && grep -q '^.*6 times 7 is 42' "$TMPDIR/shell"; then
        ok "a shell"
    else
        not_ok "a shell" "status $status: $(tail -n 2 "$TMPDIR/shell")"
    fi
}

test_shell

# guest NAME ARGUMENTS...: a script of this convention in guests
guest()
{
    local name=$1 status=0
    shift

    "$TOP/contrib/vm.sh" --build "$BUILD" --timeout 7200 "$@" \
        > "$TMPDIR/guest" 2>&1 < /dev/null || status=$?
    sed -i -E "s/^([0-9]: )?(ok|not ok|skip) /\2 $name: /" "$TMPDIR/guest"
    add_results "$TMPDIR/guest"
    if [ $status -gt 1 ] || ! grep -q '^ok' "$TMPDIR/guest"; then
        not_ok "$name" "status $status: $(tail -n 1 "$TMPDIR/guest")"
    fi
}

for kernel in $kernels; do
    name="Linux ${kernel##*/}"
    alone=()
    for part in $parts; do
        case $part in
        pair)
            guest "$name, two guests" --kernel "$kernel" --guests 2 -- \
                "$TOP/test/apps/vm_guest.sh" pair
            ;;
        lost)
            guest "$name" --kernel "$kernel" --devices 2 --faults \
                'lose_event dev=0 count=1; lose_interrupt dev=1 vector=1 count=1' \
                -- "$TOP/test/apps/vm_guest.sh" lost
            ;;
        *)
            alone+=("$part")
            ;;
        esac
    done
    [ ${#alone[@]} = 0 ] ||
        # pinned receive buffers of up to two hundred interfaces
        guest "$name" --kernel "$kernel" --devices 2 --memory 4G -- \
            "$TOP/test/apps/vm_guest.sh" "${alone[@]}"
done

finish
