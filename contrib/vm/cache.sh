# shellcheck shell=bash
# Sourced by vm.sh: what a guest is made of, each kept in root.sh's cache.
#
#   vm_qemu            sets qemu, the command: the machine's if it has
#                      vfio-user-pci (QEMU 10.1), else that of Debian sid's packages,
#                      started by their own loader: it needs no chroot
#   vm_kernel NAME     sets kernel_dir, kernel_version, kernel_root
#   vm_driver DIR      builds the efa driver of a source tree; sets driver
#   vm_userland SUITE  sets userland
#
#   roots/sid-vm-qemu       QEMU
#   roots/SUITE-vm-kernel   boot/vmlinuz-VERSION, lib/modules/VERSION with
#                           updates/efa.ko, headers and compiler to build it
#                           again, root/efa: the driver's sources
#   roots/SUITE-vm          what runs in the guest
#
# The kernel's packages are unpacked, not installed: nobody needs their initrd.
# Functions return non-zero after they said why.
# shellcheck disable=SC2034,SC2154 # set for vm.sh, and by it

vm_tools=(gcc libc6-dev make kmod xz-utils)
vm_userland_packages=(busybox-static iproute2 kmod pciutils procps xz-utils
                      libjson-c5 ucx-utils ibverbs-utils ibverbs-providers
                      perftest python3-pyverbs libfabric-bin
                      openmpi-bin libopenmpi-dev gcc libc6-dev)

# vm_kernel_suite NAME: the Debian that has this kernel
vm_kernel_suite()
{
    case $1 in
    6.1)    echo bookworm ;;
    6.12)   echo trixie ;;
    newest) echo sid ;;
    *)      return 1 ;;
    esac
}

# ---- QEMU ----

vm_qemu_knows()
{
    "$@" -device help 2> /dev/null | grep -q '"vfio-user-pci"' &&
        "$@" -device help 2> /dev/null | grep -q '"virtio-9p-pci"'
}

vm_qemu()
{
    local root program=qemu-system-x86_64

    if command -v $program > /dev/null && vm_qemu_knows $program; then
        qemu=("$program")
        return
    fi
    root=$(root_with sid vm-qemu qemu-system-x86) || {
        vm_say "no QEMU with vfio-user-pci (10.1 or newer): the machine has" \
            "none, and Debian sid's could not be had, see above"
        return 1
    }
    qemu=("$root/lib64/ld-linux-x86-64.so.2"
          --library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu"
          "$root/usr/bin/$program"
          -L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
    vm_qemu_knows "${qemu[@]}" || {
        vm_say "QEMU in $root does not start, or has no vfio-user-pci:" \
            "$("${qemu[@]}" --version 2>&1 | head -n 1). Try --refresh"
        return 1
    }
}

# ---- the kernel ----

# Inside: unpacks the kernel, of the version of the headers, and of its source
# what the driver needs; builds the driver.
# shellcheck disable=SC2016
vm_kernel_inside='
set -e
cd /var/tmp
headers=$(echo /usr/src/linux-headers-*-amd64)
version=${headers#/usr/src/linux-headers-}
package=$(apt-cache policy linux-headers-$version |
    sed -n "s/^ *Installed: //p")
source=$(apt-cache depends linux-source |
    sed -n "s/.*Depends: \(linux-source-\)/\1/p" | head -n 1)
files=
for name in image binary modules; do
    [ -z "$(apt-cache show linux-$name-$version 2> /dev/null)" ] ||
        files="$files linux-$name-$version"
done
apt-get -q download $files $source=$package
for file in *.deb; do
    dpkg-deb -x $file unpacked
    rm $file
done
mkdir -p /lib/modules/$version
for dir in unpacked/lib/modules unpacked/usr/lib/modules; do
    [ ! -d $dir ] || cp -a $dir/$version /lib/modules/
done
# since Linux 7 the image lies beside the modules
for image in unpacked/boot/vmlinuz-$version /lib/modules/$version/vmlinuz; do
    [ ! -f $image ] || cp $image /boot/vmlinuz-$version
done
[ -f /boot/vmlinuz-$version ]
mkdir /root/efa
tar -C /root/efa --strip-components=5 -xf unpacked/usr/src/$source.tar.xz \
    $source/drivers/infiniband/hw/efa
rm -rf unpacked
make -C $headers M=/root/efa CONFIG_INFINIBAND_EFA=m modules
mkdir -p /lib/modules/$version/updates
cp /root/efa/efa.ko /lib/modules/$version/updates/
depmod $version
'

vm_make_kernel()
{
    local base=$1 dir=$2
    shift 2

    root_copy "$base" "$dir" && root_apt "$dir" "$@" || return
    root_say "kernel and efa driver in ${dir##*/}"
    root_run "$dir" sh -c "$vm_kernel_inside" > "$dir/var/log/vm.log" 2>&1 || {
        tail -n 20 "$dir/var/log/vm.log" >&2
        root_say "no kernel with an efa driver, see above: does the archive have" \
            "linux-source of the version of its linux-headers?"
        return 1
    }
    chroot "$dir" apt-get clean
}

# vm_kernel_installed DIR: boot/vmlinuz* and lib/modules/VERSION there
vm_kernel_installed()
{
    local image modules

    image=$(find "$1/boot" -maxdepth 1 -name 'vmlinuz*' | sort | head -n 1)
    modules=$(find "$1/lib/modules" -mindepth 1 -maxdepth 1 -type d | head -n 1)
    if [ -z "$image" ] || [ -z "$modules" ]; then
        vm_say "$1 has no boot/vmlinuz* or no lib/modules/VERSION: run" \
            "'make modules_install install INSTALL_PATH=$1/boot" \
            "INSTALL_MOD_PATH=$1' in the kernel's tree"
        return 1
    fi
    kernel_image=$image
    kernel_version=${modules##*/}
    kernel_dir=$1
}

vm_kernel()
{
    local suite base root

    kernel_root=
    if [ -d "$1" ]; then
        vm_kernel_installed "$(cd "$1" && pwd)" 2> /dev/null ||
            vm_kernel_installed "$1"
        return
    fi
    suite=$(vm_kernel_suite "$1") || {
        vm_say "no kernel '$1': 6.1, 6.12, newest, or the directory of one"
        return 1
    }
    base=$(root_base "$suite") &&
        root=$(root_cached "$suite-vm-kernel" \
            "linux-headers-amd64 ${vm_tools[*]}" vm_make_kernel "$base" \
            linux-headers-amd64 "${vm_tools[@]}") || return
    kernel_root=$root
    vm_kernel_installed "$root"
}

# vm_driver DIR OUT: the driver of other sources for the kernel of vm_kernel, built
# in the directory OUT; sets driver
vm_driver()
{
    local source=$1 out=$2

    [ -n "$kernel_root" ] || {
        vm_say "--driver is built against a kernel of Debian: with a kernel of" \
            "your own install its driver there (modules_install)"
        return 1
    }
    [ -f "$source/efa_main.c" ] || {
        vm_say "$source/efa_main.c is missing: --driver is the directory" \
            "drivers/infiniband/hw/efa of a kernel tree"
        return 1
    }
    mkdir "$out" && cp "$source"/*.[ch] "$source"/Makefile "$out/" || return
    root_run "$kernel_root" --bind "$out:/root/driver" \
        make -C "/usr/src/linux-headers-$kernel_version" M=/root/driver \
        CONFIG_INFINIBAND_EFA=m modules > "$out.log" 2>&1 || {
        grep -E -A 3 'error:' "$out.log" | head -n 20 >&2
        vm_say "the driver of $source does not build for $kernel_version" \
            "(log: above)"
        return 1
    }
    driver=$out/efa.ko
}

# ---- the first file system: as many modules as the second one needs ----

# vm_module NAME: the paths of the module and what it needs, in the order of
# loading, one a line; nothing if it is built in
vm_module()
{
    awk -v name="$1" '
        function base(path) {
            sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path)
            return path
        }
        FILENAME ~ /modules.builtin$/ { built[base($1)] = 1; next }
        {
            path = $1; sub(/:$/, "", path)
            if (base(path) != name) next
            found = 1
            for (i = NF; i > 1; --i) print $i
            print path
        }
        END { exit !(found || name in built) }
    ' "$kernel_dir/lib/modules/$kernel_version"/modules.{builtin,dep}
}

# vm_initrd OUT: of the kernel, with the userland's busybox; uncompressed: it is
# read once, from memory
vm_initrd()
{
    local out=$1 tree=$1.tree name path count=0 seen=' ' list

    mkdir -p "$tree"/{bin,dev,proc,sys,modules,lower,upper,new} || return
    cp "$userland/bin/busybox" "$tree/bin/" &&
        cp "$top/contrib/vm/initramfs" "$tree/init" || return
    for name in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
        list=$(vm_module "$name") || {
            vm_say "the kernel $kernel_version has no $name: configure it" \
                "(VIRTIO_PCI, VIRTIO_CONSOLE, NET_9P_VIRTIO, 9P_FS, OVERLAY_FS)"
            return 1
        }
        for path in $list; do
            case $seen in *" $path "*) continue ;; esac
            seen="$seen$path "
            name=$(printf '%02d-%s' $count "${path##*/}")
            count=$((count + 1))
            path=$kernel_dir/lib/modules/$kernel_version/$path
            case $name in
            *.xz)  xz -dc "$path" > "$tree/modules/${name%.xz}" ;;
            *.zst) zstd -qdc "$path" > "$tree/modules/${name%.zst}" ;;
            *.gz)  gzip -dc "$path" > "$tree/modules/${name%.gz}" ;;
            *)     cp "$path" "$tree/modules/" ;;
            esac || {
                vm_say "cannot read $path"
                return 1
            }
            [ "${name%.ko}" = "$name" ] ||
                mv "$tree/modules/${path##*/}" "$tree/modules/$name"
        done
    done
    # shellcheck disable=SC2094
    (cd "$tree" && find . | ./bin/busybox cpio -o -H newc) > "$out" \
        2> "$out.log" || {
        cat "$out.log" >&2
        return 1
    }
    rm -rf "$tree" "$out.log"
}

# ---- what runs in the guest ----

vm_userland()
{
    userland=$(root_with "$1" vm "${vm_userland_packages[@]}")
}
