#!/usr/bin/env bash
# Runs what the README begins with, contrib/demo.sh and contrib/check.sh, in a
# bare Debian, as whoever has just cloned it: what is committed here, in a root of
# its own that is removed afterwards. For maintainers, as root; needs debootstrap
# and git.
#
#   contrib/check-root.sh [--suite bookworm|trixie|sid] [--uptime SECONDS]
#                         [--loaded N] [--mirror URI] [--ucx-src DIR] [--keep]
#                         [ARGUMENTS of check.sh]
#
#   --suite    release of Debian (default: bookworm, which is 12; trixie is 13)
#   --uptime   a machine that is up for so long: a few seconds or many years
#   --loaded   beside N processes that never stop computing
#   --mirror   where its packages are (default: as this machine's apt has it)
#   --ucx-src  UCX source tree of the version that the release has, for a mirror
#              without source packages
#   --keep     leaves the root there and says where
#
# Mounts and processes live in namespaces of their own: with them they end,
# whatever happens, and nothing of this machine's is seen when the root is
# removed. It needs 4 GB in ${TMPDIR:-/var/tmp}. The last lines are those of the
# two commands with their times; the status is 0 if both passed.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)

die()
{
    echo "check-root.sh: $*" >&2
    exit 2
}

suite=bookworm
uptime=
loaded=0
mirror=
ucx_src=
keep=n
while [ $# -gt 0 ]; do
    case $1 in
    --suite)   suite=${2:?--suite needs a value}; shift ;;
    --uptime)  uptime=${2:?--uptime needs a value}; shift ;;
    --loaded)  loaded=${2:?--loaded needs a value}; shift ;;
    --mirror)  mirror=${2:?--mirror needs a value}; shift ;;
    --ucx-src) ucx_src=$(cd "${2:?--ucx-src needs a value}" && pwd); shift ;;
    --keep)    keep=y ;;
    -h|--help) sed -n '2,25s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *)         break ;;
    esac
    shift
done

case $uptime$loaded in
*[!0-9]*) die "--uptime and --loaded need a number" ;;
esac

[ "$(id -u)" = 0 ] || die "needs root: debootstrap and chroot do"
for tool in debootstrap git unshare chroot; do
    command -v $tool > /dev/null || die "no $tool: install it first"
done

if [ -z "$mirror" ]; then
    # apt replaces the $(...), not the shell; not the archive of security fixes
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets 'Created-By: Packages' 'Label: Debian' \
        'Component: main' --format '$(REPO_URI)' 2> /dev/null | head -n 1) ||
        true
    [ -n "$mirror" ] ||
        die "this machine's apt has no archive of Debian: give --mirror"
fi

[ -z "$(git -C "$top" status --porcelain -uno)" ] ||
    echo "check-root.sh: what is not committed is not tested" >&2

root=$(mktemp -d "${TMPDIR:-/var/tmp}/ucx-efa-root.XXXXXX")
cleanup()
{
    if [ "$keep" = y ]; then
        echo "check-root.sh: left in $root"
    else
        rm -rf --one-file-system "$root"
    fi
}
trap cleanup EXIT
inside_pid=
# unshare waits for what it started whatever signal comes; killed, it takes all
trap '[ -z "$inside_pid" ] || kill -KILL "$inside_pid"; wait; exit 130' INT TERM

echo "check-root.sh: Debian $suite in $root"
unshare --mount \
    debootstrap --variant=minbase --include=ca-certificates "$suite" \
    "$root/debian" "$mirror" > "$root/debootstrap.log" 2>&1 || {
    tail -n 10 "$root/debootstrap.log" >&2
    die "debootstrap failed"
}
cp /etc/hosts "$root/debian/etc/"
cp -L /etc/resolv.conf "$root/debian/etc/"
# What this machine lets pass of the age of an archive's lists, the root does, too
apt-config dump 2> /dev/null |
    grep -E '^Acquire::Check-(Valid-Until|Date) ' \
        > "$root/debian/etc/apt/apt.conf.d/99check-root" || true
git clone -q --no-hardlinks "$top" "$root/debian/root/ucx-efa"
if [ -n "$ucx_src" ]; then
    version=$(chroot "$root/debian" sh -c 'apt-get -qq update &&
        apt-cache show --no-all-versions libucx0' |
        sed -n 's/^Version: \([0-9]*:\)\{0,1\}\([^+]*\).*/\2/p' |
        sed 's/-[^-]*$//')
    [ -n "$version" ] || die "the archive has no libucx0"
    mkdir -p "$root/debian/root/.cache/ucx-efa"
    cp -a "$ucx_src" "$root/debian/root/.cache/ucx-efa/ucx-$version"
fi

# In the namespaces. The files of /dev that programs need, memory of its own.
# shellcheck disable=SC2016 # its own arguments
inside='
set -e
cd "$1"
loaded=$2
shift 2
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for file in null zero full random urandom tty; do
    touch dev/$file
    mount --bind /dev/$file dev/$file
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
for i in $(seq "$loaded"); do
    (while :; do :; done) &
done
exec chroot . "$@"
'
# shellcheck disable=SC2016
commands='
cd /root/ucx-efa
begin=$(date +%s)
contrib/demo.sh 2>&1
demo=$?
middle=$(date +%s)
: > check.log # tail may be there first
contrib/check.sh "$@" > check.log 2>&1 &
tail -n +1 --pid=$! -f check.log
wait $!
check=$?
end=$(date +%s)
echo
echo "demo.sh: status $demo, $((middle - begin)) s"
echo "check.sh: status $check, $((end - middle)) s: $(tail -n 1 check.log)"
[ $demo = 0 ] && [ $check = 0 ]
'
time=()
if [ -n "$uptime" ]; then
    ahead=$((uptime - $(cut -d. -f1 /proc/uptime)))
    time=(--time "--monotonic=$ahead" "--boottime=$ahead")
fi
proxies=()
for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || proxies+=("$name=${!name}")
done
status=0
env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    ${proxies[@]+"${proxies[@]}"} \
    unshare --mount --pid --fork --kill-child ${time[@]+"${time[@]}"} \
    sh -c "$inside" check-root "$root/debian" "$loaded" \
    sh -c "$commands" check-root "$@" &
inside_pid=$!
wait $inside_pid || status=$?
exit $status
