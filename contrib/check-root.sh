#!/usr/bin/env bash
# Runs what the README begins with, contrib/demo.sh and contrib/check.sh, in a
# bare Debian, as whoever has just cloned it: what is committed here, in a root of
# its own that is removed afterwards. For maintainers, as root; needs debootstrap
# and git.
#
#   contrib/check-root.sh [--suite bookworm|trixie|sid] [--uptime SECONDS]
#                         [--loaded N] [--mirror URI] [--refresh] [--keep]
#                         [--ucx-src DIR]
#                         [ARGUMENTS of check.sh]
#
#   --suite    release of Debian (default: bookworm, which is 12; trixie is 13)
#   --uptime   a machine that is up for so long: a few seconds or many years
#   --loaded   beside N processes that never stop computing
#   --mirror   where its packages are (default: as this machine's apt has it)
#   --refresh  the cached root is made again
#   --ucx-src  UCX source tree of the version that the release has, for a mirror
#              without source packages
#   --keep     leaves the root there and says where
#
# Mounts and processes live in namespaces of their own: with them they end,
# whatever happens, and nothing of this machine's is seen when the root is
# removed. It needs 4 GB in ${TMPDIR:-/var/tmp}. The bare root is a copy of one
# in a cache (root.sh). The last lines are those of the two commands with their
# times; the status is 0 if both passed.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/root.sh
. "$top/contrib/root.sh"

die()
{
    echo "check-root.sh: $*" >&2
    exit 2
}

suite=bookworm
uptime=
loaded=0
ucx_src=
keep=n
while [ $# -gt 0 ]; do
    case $1 in
    --suite)   suite=${2:?--suite needs a value}; shift ;;
    --uptime)  uptime=${2:?--uptime needs a value}; shift ;;
    --loaded)  loaded=${2:?--loaded needs a value}; shift ;;
    --mirror)  root_mirror=${2:?--mirror needs a value}; shift ;;
    --ucx-src) ucx_src=$(cd "${2:?--ucx-src needs a value}" && pwd); shift ;;
    --refresh) root_refresh=y ;;
    --keep)    keep=y ;;
    -h|--help) sed -n '2,28s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *)         break ;;
    esac
    shift
done

case $uptime$loaded in
*[!0-9]*) die "--uptime and --loaded need a number" ;;
esac
command -v git > /dev/null || die "no git: install it first"
[ -z "$(git -C "$top" status --porcelain -uno)" ] ||
    echo "check-root.sh: what is not committed is not tested" >&2

base=$(root_base "$suite") || exit 2
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ucx-efa-root.XXXXXX")
root=$work/debian
cleanup()
{
    root_kill
    if [ "$keep" = y ]; then
        echo "check-root.sh: left in $work"
    else
        rm -rf --one-file-system "$work"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

echo "check-root.sh: Debian $suite in $work"
root_copy "$base" "$root"
git clone -q --no-hardlinks "$top" "$root/root/ucx-efa"
[ -z "$ucx_src" ] || root_give_ucx "$root" "$ucx_src" || exit 2

# shellcheck disable=SC2016
commands='
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
status=0
root_run "$root" --dir /root/ucx-efa --loaded "$loaded" \
    ${uptime:+--uptime "$uptime"} sh -c "$commands" check-root "$@" || status=$?
exit $status
