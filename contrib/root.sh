# shellcheck shell=bash
# Sourced by scripts that build or test in a Debian root of their own, as
# check-root.sh does. As root; needs debootstrap, unshare, chroot and flock.
#
#   base=$(root_base trixie) || exit          # bare: debootstrap's minbase
#   base=$(root_with trixie build gcc make) || exit   # with these packages
#   root_copy "$base" "$work/root"            # one's own, to be changed
#   trap 'root_kill; rm -rf --one-file-system "$work"' EXIT
#   root_run "$work/root" --bind "$top:/src" --dir /src make check
#
# root_base and root_with print the directory of a root in the cache,
# ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/roots: it is made when it is missing, when
# the packages are others, or with root_refresh=y. Nobody changes what is in the
# cache, so any number of scripts may share it:
#
#   roots/SUITE         the bare root
#   roots/SUITE-NAME    the same with packages, which .packages lists
#   roots/*.lock        held while a root is made
#
# Set before: root_mirror (an archive of Debian; default: that of this machine's
# apt), root_refresh (y: make them again). Functions return non-zero after they
# said why.

root_cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa/roots
root_refresh=${root_refresh:-n}
root_mirror=${root_mirror:-}
root_pid=

root_say()
{
    echo "${0##*/}: $*" >&2
}

# root_check: is what these functions need there?
root_check()
{
    local tool

    [ "$(id -u)" = 0 ] || {
        root_say "needs root: debootstrap and chroot do"
        return 1
    }
    for tool in debootstrap unshare chroot flock; do
        command -v $tool > /dev/null || {
            root_say "no $tool: install it first"
            return 1
        }
    done

    [ -z "$root_mirror" ] || return 0
    # apt replaces the $(...), not the shell; not the archive of security fixes
    # shellcheck disable=SC2016
    root_mirror=$(apt-get indextargets 'Created-By: Packages' 'Label: Debian' \
        'Component: main' --format '$(REPO_URI)' 2> /dev/null |
        head -n 1) || true
    [ -n "$root_mirror" ] || {
        root_say "this machine's apt has no archive of Debian: give --mirror"
        return 1
    }
}

# root_make_bare SUITE DIR
root_make_bare()
{
    root_say "debootstrap of Debian $1"
    unshare --mount debootstrap --variant=minbase --include=ca-certificates \
        "$1" "$2" "$root_mirror" > "$2.log" 2>&1 || {
        tail -n 10 "$2.log" >&2
        root_say "debootstrap failed, see above"
        return 1
    }
    rm "$2.log"
    cp /etc/hosts "$2/etc/"
    cp -L /etc/resolv.conf "$2/etc/"
    # What this machine lets pass of the age of an archive's lists, it does, too
    apt-config dump 2> /dev/null |
        grep -E '^Acquire::Check-(Valid-Until|Date) ' \
            > "$2/etc/apt/apt.conf.d/99ucx-efa" || true
    echo 'Acquire::Retries "2";' >> "$2/etc/apt/apt.conf.d/99ucx-efa"
}

# root_make_with BASE DIR PACKAGE...
root_make_with()
{
    local base=$1 dir=$2
    shift 2

    root_copy "$base" "$dir" || return
    root_say "packages for ${dir##*/}"
    root_apt "$dir" "$@" || return
    chroot "$dir" apt-get clean
}

# root_cached NAME PACKAGES COMMAND...: the command makes the directory that is
# its second argument
root_cached()
{
    local dir=$root_cache/$1 packages=$2 new
    shift 2

    mkdir -p "$root_cache" || return
    (
        trap 'root_kill; exit 130' INT TERM
        flock 9 || exit
        if [ "$root_refresh" != y ] && [ -f "$dir/.packages" ] &&
               [ "$(cat "$dir/.packages")" = "$packages" ]; then
            exit 0
        fi
        new=$dir.new
        rm -rf --one-file-system "$new" "$new.log"
        "$1" "$2" "$new" "${@:3}" || {
            rm -rf --one-file-system "$new"
            exit 1
        }
        echo "$packages" > "$new/.packages"
        rm -rf --one-file-system "$dir"
        mv "$new" "$dir"
    ) 9> "$dir.lock" >&2 || return
    echo "$dir"
}

# root_base SUITE: prints the directory of the bare root
root_base()
{
    root_check || return
    root_cached "$1" "" root_make_bare "$1"
}

# root_with SUITE NAME PACKAGE...: prints the directory of one with packages
root_with()
{
    local suite=$1 name=$2 base
    shift 2

    base=$(root_base "$suite") || return
    root_cached "$suite-$name" "$*" root_make_with "$base" "$@"
}

# root_copy BASE DIR: a root of one's own
root_copy()
{
    mkdir -p "$(dirname "$2")" && cp -a --reflink=auto "$1" "$2" &&
        rm -f "$2/.packages"
}

# root_apt DIR PACKAGE|FILE...: installs them with what they depend on; files
# are paths inside. Its output is shown if it fails. dpkg need not wait for the
# disk: a root that is not finished is not used.
root_apt()
{
    local dir=$1 log=$1/var/log/root-apt.log
    shift

    # shellcheck disable=SC2016 # its own arguments
    root_run "$dir" sh -c 'apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qy \
            -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io \
            install --no-install-recommends "$@"' apt "$@" \
        > "$log" 2>&1 || {
        tail -n 20 "$log" >&2
        root_say "apt-get failed, see above"
        return 1
    }
}

# root_give_ucx DIR TREE: UCX's sources, of the version that the release has,
# where ucx-headers.sh looks for them
root_give_ucx()
{
    local version

    version=$(chroot "$1" sh -c 'apt-get -qq update &&
        apt-cache show --no-all-versions libucx0' |
        sed -n 's/^Version: \([0-9]*:\)\{0,1\}\([^+]*\).*/\2/p' |
        sed 's/-[^-]*$//')
    [ -n "$version" ] || {
        root_say "the archive has no libucx0"
        return 1
    }
    mkdir -p "$1/root/.cache/ucx-efa" &&
        cp -a "$2" "$1/root/.cache/ucx-efa/ucx-$version"
}

# In the namespaces: the files of /dev that programs need, memory of its own
# shellcheck disable=SC2016
root_inside='
set -e
cd "$1"
dir=$2 loaded=$3 binds=$4
shift 4
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
while [ $binds -gt 0 ]; do
    mkdir -p ".${1#*:}"
    mount --bind "${1%%:*}" ".${1#*:}"
    binds=$((binds - 1))
    shift
done
for i in $(seq "$loaded"); do
    (while :; do :; done) &
done
exec chroot . sh -c "cd \"\$0\" && exec \"\$@\"" "$dir" "$@"
'

# root_run ROOT [--dir DIR] [--bind OUTSIDE:INSIDE]... [--uptime SECONDS]
#          [--loaded N] COMMAND...
#
#   --dir      working directory inside (default: /root)
#   --bind     this directory is seen there
#   --uptime   on a machine that is up for so long: a few seconds, many years
#   --loaded   beside N processes that never stop computing
#
# Mounts and processes live in namespaces of their own and end with the command,
# whatever happens. The environment is empty but for what a login has and for
# proxies; there is no standard input. Returns the command's status.
root_run()
{
    local root=$1 dir=/root loaded=0 binds=() time=() proxies=() name ahead
    local status=0
    shift

    while [ $# -gt 0 ]; do
        case $1 in
        --dir)    dir=$2 ;;
        --bind)   binds+=("$2") ;;
        --loaded) loaded=$2 ;;
        --uptime)
            ahead=$(($2 - $(cut -d. -f1 /proc/uptime)))
            time=(--time "--monotonic=$ahead" "--boottime=$ahead") ;;
        *) break ;;
        esac
        shift 2
    done
    for name in http_proxy https_proxy no_proxy; do
        [ -z "${!name:-}" ] || proxies+=("$name=${!name}")
    done

    env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${proxies[@]+"${proxies[@]}"} \
        unshare --mount --pid --fork --kill-child ${time[@]+"${time[@]}"} \
        sh -c "$root_inside" root "$root" "$dir" "$loaded" ${#binds[@]} \
        ${binds[@]+"${binds[@]}"} "$@" < /dev/null &
    root_pid=$!
    wait $root_pid || status=$?
    root_pid=
    return $status
}

# root_kill: what root_run runs, for the trap of who sources this. unshare waits
# for what it started whatever signal comes; killed, it takes all with it.
root_kill()
{
    if [ -n "$root_pid" ]; then
        kill -KILL "$root_pid" 2> /dev/null || true
        wait "$root_pid" 2> /dev/null || true
        root_pid=
    fi
}
