# shellcheck shell=bash
# Sourced by packages.sh and rpm.sh: roots with a clone of what is committed here,
# and steps, each with a line of its result. Sets after packages_begin: out, logs,
# work, build and bare (the root to build in, the one to install in).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=contrib/root.sh
. "$top/contrib/root.sh"

suite=bookworm
built=n
keep=n
out=
ucx_src=

die()
{
    echo "${0##*/}: $*" >&2
    exit 2
}

# packages_options LINES ARGUMENT...: sets suite, out and so on; LINES of the
# script's header are its help
packages_options()
{
    local lines=$1
    shift

    while [ $# -gt 0 ]; do
        case $1 in
        --out)     out=${2:?--out needs a directory}; shift ;;
        --suite)   suite=${2:?--suite needs a value}; shift ;;
        --ucx-src) ucx_src=$(cd "${2:?--ucx-src needs a value}" && pwd) ||
                       exit 2
                   shift ;;
        --mirror)  root_mirror=${2:?--mirror needs a value}; shift ;;
        --refresh) root_refresh=y ;;
        --built)   built=y ;;
        --keep)    keep=y ;;
        -h|--help) sed -n "2,${lines}s/^# \{0,1\}//p" "$0"; exit 0 ;;
        *) die "unknown argument '$1' (try --help)" ;;
        esac
        shift
    done
}

packages_end()
{
    root_kill
    if [ "$keep" = y ]; then
        echo "${0##*/}: left in $work"
    else
        rm -rf --one-file-system "$work"
    fi
}

# packages_begin NAME: empties $out/NAME, unless its packages are tested
packages_begin()
{
    [ -n "$out" ] || die "--out DIR is missing (try --help)"
    command -v git > /dev/null || die "no git: install it first"
    [ -z "$(git -C "$top" status --porcelain -uno)" ] ||
        echo "${0##*/}: what is not committed is not packaged" >&2

    mkdir -p "$out"
    all=$(cd "$out" && pwd)             # of all releases
    out=$all/$1
    logs=$out/logs
    if [ $built = n ] && [ -d "$out" ]; then
        [ -d "$logs" ] || die "$out is there, and not of an earlier run"
        rm -rf "$out"
    fi
    mkdir -p "$logs"
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/ucx-efa-packages.XXXXXX")
    build=$work/build
    bare=$work/bare
    failed=0
    blocked=
    trap packages_end EXIT
    trap 'exit 130' INT TERM
}

# step NAME COMMAND...: its line; what it found or why not is the last line that
# it wrote to file descriptor 3, all else is in the log.
step()
{
    local name=$1 log=$logs/$1.log status=0
    shift

    if [ -n "$blocked" ]; then
        echo "skip ${out##*/} $name: needs $blocked"
        return 1
    fi
    : > "$work/found"
    "$@" > "$log" 2>&1 3> "$work/found" || status=$?
    if [ $status = 0 ]; then
        echo "ok ${out##*/} $name$(sed -n '$s/^/: /p' "$work/found")"
        return
    fi
    failed=$((failed + 1))
    echo "not ok ${out##*/} $name: $(
        tail -n 1 "$work/found" | grep . ||
            grep -aE '([Ee]rror|ERROR|^E): ' "$log" | tail -n 1 | grep . ||
            tail -n 1 "$log") (log: $log)"
    return 1
}

# need NAME COMMAND...: a step without which those after it are skipped
need()
{
    step "$@" || blocked=${blocked:-$1}
}

# inside ROOT SCRIPT [ARGUMENT...]: bash in a root, in its clone of this
inside()
{
    local root=$1 script=$2
    shift 2
    root_run "$root" --dir /root/ucx-efa bash -euc "$script" packages "$@"
}

# What debian/control needs to build, without versions and profiles
build_depends()
{
    awk '/^[^ ]/ { on = /^Build-Depends:/; sub(/^[^:]*:/, "") } on' \
        "$top/debian/control" |
        sed -e 's/([^)]*)//g' -e 's/<[^>]*>//g' -e 's/\[[^]]*\]//g' |
        tr -d ' \n' | tr ',' '\n' | sed 's/^debhelper-compat$/debhelper/'
}

# make_root NAME ROOT PACKAGE...: with a clone and UCX's sources
make_root()
{
    local name=$1 root=$2 base
    shift 2

    if [ $# = 0 ]; then
        base=$(root_base "$suite") || return
    else
        base=$(root_with "$suite" "$name" "$@") || return
    fi
    root_copy "$base" "$root" &&
        git clone -q --no-hardlinks "$top" "$root/root/ucx-efa"
}

make_build_root()
{
    local depends
    mapfile -t depends < <(build_depends)

    make_root "$1" "$build" build-essential autoconf automake libtool \
        "${depends[@]}" dpkg-dev xz-utils "${@:2}" || return
    [ -z "$ucx_src" ] || root_give_ucx "$build" "$ucx_src"
}

# The tar file of the release
source_step()
{
    # shellcheck disable=SC2016
    inside "$build" '
        src=$(contrib/ucx-headers.sh)
        ./autogen.sh
        mkdir /root/dist
        cd /root/dist
        ../ucx-efa/configure --with-ucx-src="$src"
        make dist
        ls ucx-efa-*.tar.gz >&3'
}


# What debian/tests need, without ours
tests_depends()
{
    sed -n 's/^Depends: //p' "$top/debian/tests/control" | tr -d ' ' |
        tr ',' '\n' | grep -vxE '@|ucx-efa.*|softefa' | sort -u
}

# left_over: fails if something of ours is left in the bare root, in no list of
# files; not what these scripts and root.sh have put there
left_over()
{
    # shellcheck disable=SC2016
    inside "$bare" '
        find / -xdev \( -path /root -o -path /var/tmp -o -path /var/log -o \
            -path /var/lib/apt -o -path /proc -o -name 99ucx-efa \) -prune -o \
            \( -name "*softefa*" -o -name "*efasrd*" -o -name "*ucx?efa*" -o \
            -name "*efarun*" -o -name "*srdtool*" \) -print > /var/tmp/left
        [ ! -s /var/tmp/left ] || {
            echo "$(head -n 1 /var/tmp/left) is left" >&3; exit 1; }'
}
