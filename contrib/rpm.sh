#!/usr/bin/env bash
# Checks contrib/ucx-efa.spec as far as Debian's rpm can, in roots of its own. For
# maintainers, as root; needs debootstrap and git.
#
#   contrib/rpm.sh --out DIR [--suite bookworm|trixie|sid] [--ucx-src DIR]
#                  [--built] [--mirror URI] [--refresh] [--keep]
#
# Packages and logs go to DIR/SUITE-rpm; other options are those of packages.sh, and
# so are the lines, "ok SUITE-rpm STEP":
#
#   source   make dist, the tar file
#   build    rpmbuild -ba --nodeps, with its %check
#   rpmlint  of the spec file and the packages: errors fail, warnings are counted
#   tests    installed with rpm --nodeps in a root with Debian's UCX; the demo
#   remove   nothing is left
#
# The header of contrib/ucx-efa.spec says what that does not show.
set -uo pipefail

# shellcheck source=contrib/packages-common.sh
. "$(dirname "$0")/packages-common.sh"

packages_options 17 "$@"
packages_begin "$suite-rpm"

build_step()
{
    # shellcheck disable=SC2016
    inside "$build" '
        src=$(contrib/ucx-headers.sh)
        cd /root/dist
        rpmbuild -ta --nodeps --define "ucx_src $src" ucx-efa-*.tar.gz
        cp /root/rpmbuild/RPMS/*/*.rpm /root/rpmbuild/SRPMS/*.rpm .' || return
    cp "$build"/root/dist/*.rpm "$out/" || return
    find "$out" -name '*.rpm' ! -name '*.src.rpm' -printf '%f ' >&3
}

rpmlint_step()
{
    # rpmlint of Debian 12 needs to know where
    # shellcheck disable=SC2016
    inside "$build" '
        rpmlint -c contrib/ucx-efa.rpmlint.toml contrib/ucx-efa.spec \
            /root/dist/*.rpm' > "$work/rpmlint"
    local status=$?
    cat "$work/rpmlint"
    grep -E '[0-9]+ errors' "$work/rpmlint" >&3
    return $status
}

tests_step()
{
    local depends
    mapfile -t depends < <(tests_depends)

    root_apt "$bare" rpm libibverbs1 ibverbs-providers libjson-c5 \
        "${depends[@]}" || return
    mkdir -p "$bare/var/tmp/new" && cp "$out"/*.rpm "$bare/var/tmp/new/" || return
    # shellcheck disable=SC2016
    inside "$bare" '
        rm /var/tmp/new/*.src.rpm
        rpm -i --nodeps /var/tmp/new/*.rpm
        ldconfig
        debian/tests/device
        debian/tests/demo' > "$work/tests"
    local status=$?
    cat "$work/tests"
    tail -n 1 "$work/tests" | sed 's/\..*//' >&3
    return $status
}

remove_step()
{
    # shellcheck disable=SC2016
    inside "$bare" '
        rpm -qa | grep -E "^(ucx-efa|softefa)" | xargs rpm -e --nodeps'
    left_over
}

if ! { [ $built = y ] || make_build_root rpm rpm rpmlint; } \
       > "$logs/roots.log" 2>&1 ||
       ! make_root bare "$bare" >> "$logs/roots.log" 2>&1; then
    tail -n 3 "$logs/roots.log" >&2
    die "the roots of $suite cannot be made"
fi

if [ $built = n ]; then
    need source source_step
    need build build_step
    step rpmlint rpmlint_step
fi
need tests tests_step
step remove remove_step
[ $failed = 0 ]
