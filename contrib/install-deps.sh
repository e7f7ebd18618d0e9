#!/usr/bin/env bash
# Installs the Debian packages that ucx-efa needs and nothing else.
#
#   contrib/install-deps.sh [build|demo|smoke|check] [--list]
#
#   build   to build and install the product
#   demo    build, and what contrib/demo.sh runs
#   smoke   build, and what a row of contrib/matrix.sh runs
#   check   demo, and what contrib/check.sh needs: all (default)
#   --list  print the names, install nothing
#
# As root it calls apt-get; otherwise it says what to install. Nothing is done,
# and apt is not called, when all is there.
set -euo pipefail

build=(autoconf automake libtool make gcc libc6-dev
       libucx-dev ucx-utils libibverbs-dev ibverbs-providers
       libjson-c-dev                   # srdtool
       dpkg-dev xz-utils)              # ucx-headers.sh: the source package
smoke=(g++ libgtest-dev)
demo=(openmpi-bin libopenmpi-dev ibverbs-utils)
check=(clang libclang-rt-dev valgrind
       perftest libfabric-bin mpich libmpich-dev
       python3-pyverbs                 # rdma-core's own tests of EFA
       # programs for public.sh, 1.3 MB
       libcoarrays-openmpi-dev hpcc netpipe-openmpi netpipe-mpich2
       gdb procps shellcheck
       debootstrap                     # matrix.sh: other Debians
       man-db)                         # manpages.sh

# format.sh: no other Debian has this version
case $(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2> /dev/null) in
bookworm) check+=(clang-format-14) ;;
esac

what=check
list=n
for arg in "$@"; do
    case $arg in
    build|demo|smoke|check) what=$arg ;;
    --list)           list=y ;;
    -h|--help)        sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install-deps.sh: unknown argument '$arg' (try --help)" >&2
       exit 2 ;;
    esac
done

case $what in
build) packages=("${build[@]}") ;;
demo)  packages=("${build[@]}" "${demo[@]}") ;;
smoke) packages=("${build[@]}" "${smoke[@]}") ;;
check) packages=("${build[@]}" "${demo[@]}" "${smoke[@]}" "${check[@]}") ;;
esac

if [ "$list" = y ]; then
    printf '%s\n' "${packages[@]}"
    exit 0
fi

if ! command -v dpkg-query > /dev/null; then
    echo "install-deps.sh: this is no Debian system. Install the equivalents" \
         "of: ${packages[*]}" >&2
    exit 1
fi

missing=()
# dpkg-query replaces the ${...}, not the shell; it fails if one is unknown
# shellcheck disable=SC2016
installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package}\n' \
    "${packages[@]}" 2> /dev/null | sed -n 's/^installed://p' | tr '\n' ' ' ||
    true)"
for package in "${packages[@]}"; do
    case $installed in
    *" $package "*) ;;
    *) missing+=("$package") ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    {
        echo "install-deps.sh: packages are missing and you are not root." \
             "Install them with:"
        echo "  apt-get install --no-install-recommends ${missing[*]}"
    } >&2
    exit 1
fi

echo "install-deps.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run()
{
    "$@" > "$log" 2>&1 < /dev/null && return
    tail -n 20 "$log" >&2
    echo "install-deps.sh: '$1 $2' failed, see above. Is the network there," \
         "and does another apt run?" >&2
    exit 1
}
# Lists of a failing third party do not matter if the packages are found
apt-get -q update > "$log" 2>&1 < /dev/null || grep '^[EW]:' "$log" >&2 || true
run apt-get -qy install --no-install-recommends "${missing[@]}"
