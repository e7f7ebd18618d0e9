#!/usr/bin/env bash
# Runs a command in a virtual machine whose kernel drives Soft-EFA's PCI functions
# (softefa-pci) by its own efa driver. Nothing is preloaded there: libibverbs,
# ib_uverbs and the driver are those of Debian, the device is that of the build.
#
#   contrib/vm.sh [OPTIONS] [--] COMMAND [ARGUMENT...]
#   contrib/vm.sh [OPTIONS] --shell
#   contrib/vm.sh [OPTIONS] --check
#   contrib/vm.sh [OPTIONS] --prepare
#
#   --check       runs the suites of test/apps/vm.sh on the kernels 6.1, 6.12 and
#                 newest, or on that of --kernel
#   --shell       a shell in the guest; its exit ends the guest
#   --prepare     only makes what is cached
#
#   --kernel K    6.1 (default), 6.12, newest: those of Debian 12, 13 and sid; or a
#                 directory with boot/vmlinuz* and lib/modules/VERSION of your own
#   --driver DIR  builds the efa driver of these sources (drivers/infiniband/hw/efa
#                 of a kernel tree) for the kernel of --kernel
#   --devices N   PCI functions of a guest, 0 to 16 (default: 1)
#   --guests N    guests on one fabric, 1 to 8 (default: 1). Each runs the command:
#                 $VM_GUEST is its number, from 0, of $VM_GUESTS; they reach each
#                 other as guest0, guest1... by TCP; /run/vm is seen by all
#   --profile P   efa0 to efa4 (default: efa1)
#   --faults F    faults of the device, as SOFTEFA_FAULTS (softefa(7))
#   --build DIR   build tree (default: build, of this source tree)
#   --softefa-pci FILE  in place of that of the build tree
#   --userland S  Debian whose programs run in the guest: bookworm, trixie, sid
#                 (default: this machine's, as the build is for it)
#   --share DIR   the guest sees this directory, too; may be repeated
#   --append ARGS to the kernel's command line
#   --memory SIZE of a guest (default: 1G)
#   --timeout S   seconds after which a guest is ended (default: 900)
#   --accel A     kvm, tcg (emulation), auto (default): kvm where it works
#   --keep        leaves the work directory (consoles, logs) and says where
#   --refresh     makes the cached parts again
#   --mirror URI  archive of Debian (default: as this machine's apt has it)
#
# The guest sees the source tree, the build tree and --share at the same paths;
# what it writes there is lost when it ends. The command runs as root in the
# current directory, if that is seen, with its output (both kinds) on stdout; it
# has no standard input. In the guest `vm-host` takes PCI functions away and puts
# them back (contrib/vm/vm-host).
#
# The status is the command's; with several guests, of the first that failed. 125:
# the guest did not get to its end, and why is said: panic, driver, device, time;
# 124: the command succeeded, but the kernel reported a bug. What is cached (some
# 2 GB; root.sh) is made as root, with debootstrap and the network.
set -uo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=contrib/root.sh
. "$top/contrib/root.sh"
# shellcheck source=contrib/vm/cache.sh
. "$top/contrib/vm/cache.sh"
# shellcheck source=contrib/vm/run.sh
. "$top/contrib/vm/run.sh"

vm_say()
{
    echo "vm.sh: $*" >&2
}

die()
{
    vm_say "$*"
    exit 2
}

kernel=
driver=
devices=1
guests=1
profile=efa1
faults=
build=$top/build
softefa_pci=
suite=
shares=()
kernel_arguments=
memory=1G
processors=2
loglevel=4
limit=900
accel=auto
keep=n
shell=n
what=run
while [ $# -gt 0 ]; do
    case $1 in
    --kernel|--driver|--devices|--guests|--profile|--faults|--build|\
    --softefa-pci|--userland|--share|--append|--memory|--timeout|--accel|--mirror)
        [ $# -gt 1 ] || die "$1 needs a value (try --help)" ;;
    esac
    case $1 in
    --kernel)   kernel=$2; shift ;;
    --driver)   driver=$(cd "$2" 2> /dev/null && pwd) || die "no directory '$2'"
                shift ;;
    --devices)  devices=$2; shift ;;
    --guests)   guests=$2; shift ;;
    --profile)  profile=$2; shift ;;
    --faults)   faults=$2; shift ;;
    --build)    build=$(cd "$2" 2> /dev/null && pwd) || die "no directory '$2'"
                shift ;;
    --softefa-pci) softefa_pci=$2; shift ;;
    --userland) suite=$2; shift ;;
    --share)    shares+=("$(cd "$2" 2> /dev/null && pwd)") ||
                    die "no directory '$2'"
                shift ;;
    --append)   kernel_arguments=$2; shift ;;
    --memory)   memory=$2; shift ;;
    --timeout)  limit=$2; shift ;;
    --accel)    accel=$2; shift ;;
    --mirror)   root_mirror=$2; shift ;;
    --keep)     keep=y ;;
    --refresh)  root_refresh=y ;;
    --shell)    shell=y ;;
    --check)    what=check ;;
    --prepare)  what=prepare ;;
    -h|--help)  sed -n '2,52s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --)         shift; break ;;
    -*)         die "unknown option '$1' (try --help)" ;;
    *)          break ;;
    esac
    shift
done

# is_number WHAT VALUE LOW HIGH
is_number()
{
    case $2 in
    ''|*[!0-9]*|??????*) ;;
    *)  if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
            return
        fi ;;
    esac
    die "$1: a number from $3 to $4, not '$2'"
}

is_number --devices "$devices" 0 16
is_number --guests "$guests" 1 8
is_number --timeout "$limit" 1 86400
case $profile in efa[0-4]) ;; *) die "--profile: efa0 to efa4, not '$profile'" ;; esac
case $accel in kvm|tcg|auto) ;; *) die "--accel: kvm, tcg or auto, not '$accel'" ;; esac
case $memory in
*[!0-9MG]*|[MG]*|*[0-9]) die "--memory: a size as 512M or 2G, not '$memory'" ;;
esac
[ "$(uname -m)" = x86_64 ] ||
    die "guests are of x86_64 only, this machine is $(uname -m)"

if [ $what = check ]; then
    [ -z "$kernel" ] || export VM_KERNELS=$kernel
    export VM_KERNELS=${VM_KERNELS:-6.1 6.12 newest} BUILD=$build TOP=$top
    export VM_PARTS=${VM_PARTS:-tools ucx verbs kernel gtest removal surprise lost pair} VM=y
    exec "$top/test/apps/vm.sh"
fi

if [ $what$shell = runn ] && [ $# = 0 ]; then
    die "no command (try --help)"
fi
[ $shell = n ] || [ "$guests" = 1 ] || die "--shell is for one guest"
kernel=${kernel:-6.1}

if [ -z "$suite" ]; then
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2> /dev/null)
    case $suite in
    bookworm|trixie|sid) ;;
    *) die "this machine is no Debian 12, 13 or sid: give --userland, the one" \
           "that runs what was built here" ;;
    esac
fi

if [ "$devices" != 0 ] && [ $what = run ]; then
    softefa_pci=${softefa_pci:-$build/src/softefa/softefa-pci}
    [ -x "$softefa_pci" ] ||
        die "$softefa_pci is missing: build first, give --build, or" \
            "--devices 0"
fi

vm_qemu || exit 2
vm_userland "$suite" || exit 2
vm_kernel "$kernel" || exit 2

work=$(mktemp -d "${TMPDIR:-/tmp}/ucx-efa-vm.XXXXXX")
fabric=vm-$$
cleanup()
{
    vm_cleanup 2> /dev/null
    if [ $keep = y ]; then
        vm_say "left in $work"
    else
        rm -rf "$work"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

mkdir "$work/shared" || exit 2
vm_initrd "$work/initrd" || exit 2
if [ -n "$driver" ]; then
    vm_driver "$driver" "$work/driver" || exit 2
    cp "$driver" "$work/shared/efa.ko"
fi
vm_accel
[ $what = run ] || exit 0

vm_shares
vm_command "$@"
vm_run
