#!/usr/bin/env bash
# Builds the Debian packages in a clean root and tests them in a bare one: what is
# committed here. For maintainers, as root; needs debootstrap and git.
#
#   contrib/packages.sh --out DIR [--suite bookworm|trixie|sid] [--ucx-src DIR]
#                       [--built] [--mirror URI] [--refresh] [--keep]
#
#   --out      packages, the source package and logs go to DIR/SUITE
#   --suite    release of Debian (default: bookworm)
#   --ucx-src  UCX source tree of the version that the release has, for a mirror
#              without source packages
#   --built    tests the packages that DIR/SUITE has from the last time
#   --mirror   where its packages are (default: as this machine's apt has it)
#   --refresh  the cached roots (root.sh) are made again
#   --keep     leaves the roots there and says where
#
# One line for each step, "ok SUITE STEP", "not ok SUITE STEP: WHY" or
# "skip SUITE STEP: WHY" where one that it needs has failed:
#
#   source    make dist, the tar file of the source package
#   build     dpkg-buildpackage, and once more with a lower version
#   lintian   errors fail, warnings are counted
#   contents  dependency on UCX, no RPATH, no shared library without a package
#   install   ucx-efa alone, with what it depends on and nothing else
#   alone     efarun says which package is missing for Soft-EFA
#   tests     all packages; debian/tests
#   purge     nothing is left
#   upgrade   from the lower version
#   refused   a package for another UCX: by apt, and by force at run time, where
#             the program goes on without srd. It is that of an older release, if
#             DIR has it, else one that is made to say that it is for UCX 1.12
#
# Status 0 if no step failed. It needs 5 GB in ${TMPDIR:-/var/tmp}.
set -uo pipefail

# shellcheck source=contrib/packages-common.sh
. "$(dirname "$0")/packages-common.sh"

packages_options 33 "$@"
packages_begin "$suite"
packages=(ucx-efa ucx-efa-tools softefa ucx-efa-doc)

# So that a newer release has the newer package
version_suffix()
{
    case $suite in
    bookworm) echo '~deb12' ;;
    trixie)   echo '~deb13' ;;
    esac
}

build_step()
{
    # shellcheck disable=SC2016
    inside "$build" '
        suite=${1/sid/unstable} suffix=$2
        export UCX_SRC=$(contrib/ucx-headers.sh)
        mkdir /root/old
        cd /root/dist
        tar=$(ls ucx-efa-*.tar.gz)
        name=${tar%.tar.gz}
        version=${name##*-}
        ln -s "$tar" "ucx-efa_$version.orig.tar.gz"
        tar -xf "$tar"
        cp -a ../ucx-efa/debian "$name/"
        cd "$name"
        debian=$(dpkg-parsechangelog -S Version)
        sed -i "1s/(.*) [a-z]*;/($debian$suffix) $suite;/" debian/changelog
        dpkg-buildpackage -us -uc -sa
        # A lower version, of what has been compiled already
        mv ../*.deb ../*.dsc ../*.changes ../*.buildinfo ../*.debian.tar.* \
            /root/old/
        sed -i "1s/(.*)/($version-0$suffix)/" debian/changelog
        rm -f debian/*.debhelper.log debian/*.substvars debian/files
        dpkg-buildpackage -us -uc -b -nc
        mkdir ../lower
        mv ../*.deb ../lower/
        rm ../*.changes ../*.buildinfo
        mv /root/old/* ../' "$suite" "$(version_suffix)" || return
    cp "$build"/root/dist/*.{deb,dsc,changes,buildinfo,debian.tar.*} \
        "$build"/root/dist/*.orig.tar.gz "$out/" &&
        cp -a "$build/root/dist/lower" "$out/" || return
    basename "$out"/ucx-efa_*.deb >&3
}

lintian_step()
{
    local tags=$logs/lintian

    root_run "$build" --dir /root/dist sh -c \
        'lintian --allow-root --info --fail-on error ./*.changes' > "$tags"
    local status=$?
    cat "$tags"
    echo "$(grep -c '^E:' "$tags") errors, $(grep -c '^W:' "$tags") warnings" >&3
    return $status
}

contents_step()
{
    # shellcheck disable=SC2016
    inside "$build" '
        cd /root/dist
        mkdir /root/contents
        depends=$(dpkg-deb -f ucx-efa_*.deb Depends)
        case $depends in
        *"libucx0 (>= 1."*"libucx0 (<< 1."*) ;;
        *) echo "no dependency on one UCX: $depends"; exit 1 ;;
        esac
        for deb in *.deb; do
            dir=/root/contents/${deb%%_*}
            dpkg-deb -R "$deb" "$dir"
            find "$dir" -name "*.la" -o -path "*/usr/local*" | grep . && {
                echo "$deb has files that are not for users"; exit 1; }
            [ ! -e "$dir/DEBIAN/shlibs" ] || {
                echo "$deb has shlibs: nothing links with it"; exit 1; }
            find "$dir/usr" -type f | while read -r file; do
                readelf -d "$file" 2> /dev/null | grep -E "R(UN)?PATH" || continue
                echo "$file has an RPATH"; exit 1
            done
        done
        tr , "\n" <<< "$depends" | grep libucx0 | xargs' > "$work/contents"
    local status=$?
    cat "$work/contents"
    tail -n 1 "$work/contents" >&3
    return $status
}

# put NAME DIR: its packages into a directory of the bare root
put()
{
    mkdir -p "$bare/var/tmp/$1" && cp "$2"/*.deb "$bare/var/tmp/$1/" &&
        rm -f "$bare/var/tmp/$1"/*-dbgsym_*
}

# apt_debs NAME: installs all of them
apt_debs()
{
    local debs=("$bare/var/tmp/$1"/*.deb)
    root_apt "$bare" "${debs[@]#"$bare"}"
}

install_step()
{
    put new "$out" && put lower "$out/lower" || return
    root_apt "$bare" "/var/tmp/new/$(basename "$out"/ucx-efa_*.deb)" || return
    # Nothing else of ours, and nothing that only a build needs
    # shellcheck disable=SC2016
    chroot "$bare" dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' |
        sed -n 's/^ii *//p' > "$work/installed"
    ! grep -xE 'softefa|ucx-efa-.*|gcc|libucx-dev|libibverbs-dev' \
        "$work/installed" || return
    echo "$(grep -c . "$work/installed") packages in the root" >&3
}

alone_step()
{
    # shellcheck disable=SC2016
    inside "$bare" '
        status=0
        efarun --soft true 2> line || status=$?
        cat line
        [ $status = 125 ] && [ $(wc -l < line) = 1 ] && grep -q "packages:.* softefa" line' \
        > "$work/line"
    local status=$?
    tail -n 1 "$work/line" >&3
    return $status
}

tests_step()
{
    local depends
    mapfile -t depends < <(tests_depends)

    apt_debs new || return
    root_apt "$bare" "${depends[@]}" || return
    # shellcheck disable=SC2016
    inside "$bare" '
        for test in $(sed -n "s/^Tests: //p" debian/tests/control); do
            echo "-- $test"
            debian/tests/$test || exit
        done' > "$work/tests"
    local status=$?
    cat "$work/tests"
    sed -n -e 's/^Every byte went over SRD.*/every byte of the demo went over SRD/p' \
        "$work/tests" >&3
    return $status
}

purge_step()
{
    # shellcheck disable=SC2016
    inside "$bare" '
        dpkg -L "$@" | grep -vx "/\." | sort -u > /var/tmp/files
        dpkg --purge "$@"
        count=0
        while read -r file; do
            if [ -d "$file" ] && [ ! -L "$file" ]; then
                dpkg -S "$file" > /dev/null 2>&1 && continue
            elif [ ! -e "$file" ] && [ ! -L "$file" ]; then
                count=$((count + 1))
                continue
            fi
            echo "$file is left" >&3
            exit 1
        done < /var/tmp/files
        echo "$count files are gone, nothing is left" >&3' "${packages[@]}" &&
        left_over
}

upgrade_step()
{
    local old new

    apt_debs lower || return
    # shellcheck disable=SC2016
    old=$(chroot "$bare" dpkg-query -W -f '${Version}' ucx-efa) || return
    apt_debs new || return
    # shellcheck disable=SC2016
    new=$(chroot "$bare" dpkg-query -W -f '${Version} ' "${packages[@]}" |
        tr ' ' '\n' | sort -u | xargs)
    if [ "$old" = "$new" ] ||
           [ "$new" != "$(dpkg-deb -f "$out"/ucx-efa_*.deb Version)" ]; then
        echo "$new after $old" >&3
        return 1
    fi
    inside "$bare" debian/tests/device || return
    echo "$old to $new" >&3
}

# other_package: one for another UCX, into the root
other_package()
{
    local other

    for other in bookworm trixie; do
        [ $other != "$suite" ] || break
        if ls "$all/$other"/ucx-efa_*.deb > /dev/null 2>&1; then
            put other "$all/$other" &&
                find "$bare/var/tmp/other" ! -name 'ucx-efa_*' -type f -delete
            return
        fi
    done
    # shellcheck disable=SC2016
    inside "$bare" '
        dpkg-deb -R /var/tmp/new/ucx-efa_*.deb other
        cd other
        sed -i -e "s/libucx0 (>= [^)]*)/libucx0 (>= 1.12~)/" \
            -e "s/libucx0 (<< [^)]*)/libucx0 (<< 1.13~)/" \
            -e "/^Version:/s/\$/+ucx1.12/" DEBIAN/control
        for file in usr/lib/*/ucx/libefasrd-*.so; do
            mv "$file" "$(sed "s/libefasrd-[0-9.]*[0-9]/libefasrd-1.12/" \
                <<< "$file")"
        done
        sed -i /libefasrd/d DEBIAN/md5sums
        mkdir /var/tmp/other
        dpkg-deb -b . /var/tmp/other/'
}

refused_step()
{
    other_package || return
    # shellcheck disable=SC2016
    inside "$bare" '
        if apt-get -qy install --allow-downgrades /var/tmp/other/*.deb > apt 2>&1
        then
            echo "apt installs it"; exit 1
        fi
        cat apt
        grep -q "libucx0" apt || { echo "apt says something else"; exit 1; }
        dpkg --force-depends -i /var/tmp/other/*.deb

        efarun --soft --quiet ucx_info -d > devices 2> line
        cat line
        ! grep "Transport: srd" devices || { echo "srd is there"; exit 1; }
        [ $(wc -l < line) = 1 ] && grep -q "was built for UCX.*; " line || {
            echo "not one line with cause and next step"; exit 1; }

        . test/apps/pair.sh
        perftest_find
        pair_run "$PWD" efarun --soft --quiet "${perftest[@]}" -t tag_lat -n 100 \
            -p @PORT@ -- -- 127.0.0.1 || { echo "program: $pair_why"; exit 1; }
        tail -n 1 line' > "$work/refused"
    local status=$?
    cat "$work/refused"
    tail -n 1 "$work/refused" >&3
    return $status
}

if ! { [ $built = y ] || make_build_root packages lintian; } \
       > "$logs/roots.log" 2>&1 ||
       ! make_root bare "$bare" >> "$logs/roots.log" 2>&1; then
    tail -n 3 "$logs/roots.log" >&2
    die "the roots of $suite cannot be made"
fi

if [ $built = n ]; then
    need source source_step
    need build build_step
    step lintian lintian_step
    step contents contents_step
fi
need install install_step
step alone alone_step
step tests tests_step
step purge purge_step
need upgrade upgrade_step
step refused refused_step
[ $failed = 0 ]
