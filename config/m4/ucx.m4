# Finds the installed UCX and the private headers that belong to it.
#
#   --with-ucx=PREFIX         installed library        (default: the system's)
#   --with-ucx-src=DIR        source tree, same version (default: the cache that
#                             contrib/ucx-headers.sh fills)
#   --with-ucx-module-dir=DIR where the transport is installed
#
# A transport shares structures with libuct and libucs whose layout depends on
# UCX's version and on a few of its configure options. So: config.h is made from
# `ucx_info -b`, every define that moves a field is printed, and whatever does
# not fit together ends here instead of in a crash.
#
# Sets UCX_VERSION, UCX_MAJOR, UCX_MINOR, UCX_INFO, UCX_SRC, UCX_CPPFLAGS,
# UCX_LIBS, ucxmoduledir, ucx_efa_layout; makes ucx-config/config.h.
AC_DEFUN([UCX_EFA_CHECK_UCX], [
    AC_ARG_WITH([ucx],
        [AS_HELP_STRING([--with-ucx=PREFIX], [where UCX is installed])],
        [], [with_ucx=yes])
    AC_ARG_WITH([ucx-src],
        [AS_HELP_STRING([--with-ucx-src=DIR],
            [UCX source tree of the installed version
             (default: what contrib/ucx-headers.sh fetched)])],
        [], [with_ucx_src=])
    AC_ARG_WITH([ucx-module-dir],
        [AS_HELP_STRING([--with-ucx-module-dir=DIR],
            [where to install the transport (default: UCX's own module
             directory if it is below the prefix, else LIBDIR/ucx)])],
        [], [with_ucx_module_dir=])

    # 1. The installed library: ucx_info tells version and build defines.
    AS_CASE([$with_ucx],
        [no], [AC_MSG_ERROR([--without-ucx: there is nothing to build then])],
        [yes|''], [ucx_prefix= ; ucx_path=$PATH],
        [ucx_prefix=$with_ucx; ucx_path=$with_ucx/bin])
    AC_PATH_PROG([UCX_INFO], [ucx_info], [no], [$ucx_path])
    AS_IF([test "x$UCX_INFO" = xno],
        [AC_MSG_ERROR([ucx_info not found in $ucx_path.
Install UCX with its tools (Debian: ucx-utils libucx-dev, or run
contrib/install-deps.sh), or point --with-ucx=PREFIX at one.])])

    UCX_LIBS="-luct -lucs -lucm"
    UCX_LDFLAGS=
    UCX_RPATH=
    ucx_include=/usr/include
    AS_IF([test -n "$ucx_prefix"], [
        ucx_include=$ucx_prefix/include
        # Links to the libraries alone: libtool would follow the .la files
        # beside them, which in a UCX that was moved (a Python wheel's) name
        # directories of another machine.
        $MKDIR_P ucx-config/lib
        for ucx_lib in uct ucs ucm ucp; do
            rm -f "ucx-config/lib/lib$ucx_lib.so"
            $LN_S "$ucx_prefix/lib/lib$ucx_lib.so" ucx-config/lib/
        done
        UCX_LDFLAGS="-L`pwd`/ucx-config/lib"
        # For programs of the build tree; the module is loaded by libuct.
        UCX_RPATH="-Wl,-rpath,$ucx_prefix/lib"
        ucx_run="env LD_LIBRARY_PATH=$ucx_prefix/lib:$LD_LIBRARY_PATH $UCX_INFO"
    ], [ucx_run=$UCX_INFO])

    AC_MSG_CHECKING([for the version of UCX])
    # "# Version 1.13.1" before 1.16, "# Library version: 1.18.1" since.
    UCX_VERSION=`LD_PRELOAD= $ucx_run -v 2>/dev/null | $SED -n \
        -e 's/^# Library version: *\(@<:@0-9.@:>@*\).*/\1/p' \
        -e 's/^# Version *\(@<:@0-9.@:>@*\).*/\1/p' | $SED -n 1p`
    AS_IF([test -z "$UCX_VERSION"],
        [AC_MSG_RESULT([unknown])
         AC_MSG_ERROR([`$UCX_INFO -v' does not tell a version: does it run?])])
    AC_MSG_RESULT([$UCX_VERSION])
    UCX_MAJOR=`AS_ECHO(["$UCX_VERSION"]) | cut -d. -f1`
    UCX_MINOR=`AS_ECHO(["$UCX_VERSION"]) | cut -d. -f2`
    AS_IF([test "$UCX_MAJOR" -ne 1 || test "$UCX_MINOR" -lt 13],
        [AC_MSG_ERROR([UCX $UCX_VERSION is not supported: 1.13 or newer])])

    # 2. Its public headers must be of the same version.
    ucx_header=$ucx_include/uct/api/version.h
    AC_MSG_CHECKING([for UCX's public headers])
    AS_IF([test -r "$ucx_header"], [],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([$ucx_header is missing: install UCX's headers
(Debian: libucx-dev)])])
    ucx_header_version=`$SED -n \
        's/^#define *UCT_VERNO_STRING *"\(@<:@0-9.@:>@*\).*/\1/p' "$ucx_header"`
    AC_MSG_RESULT([$ucx_header_version])
    AS_CASE([$ucx_header_version],
        [$UCX_VERSION|$UCX_MAJOR.$UCX_MINOR], [],
        [AC_MSG_ERROR([the installed UCX library is $UCX_VERSION, but its headers
($ucx_header) are $ucx_header_version.
Install library and headers of one version (Debian: libucx0 and libucx-dev).])])

    # 3. Private headers.
    AC_MSG_CHECKING([for UCX's private headers])
    ucx_cache=${XDG_CACHE_HOME:-$HOME/.cache}/ucx-efa/ucx-$UCX_VERSION
    AS_CASE([$with_ucx_src],
        [yes|no|''], [UCX_SRC=$ucx_cache],
        [UCX_SRC=`cd "$with_ucx_src" 2>/dev/null && pwd`
         test -n "$UCX_SRC" || UCX_SRC=$with_ucx_src])
    AS_IF([test -r "$UCX_SRC/src/uct/base/uct_iface.h"], [],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([no UCX source tree in $UCX_SRC.
Run contrib/ucx-headers.sh, which fetches that of the installed version to
$ucx_cache, or give --with-ucx-src=DIR.])])
    UCX_EFA_UCX_TREE_VERSION([$UCX_SRC/configure.ac], [ucx_src_version])
    AC_MSG_RESULT([$UCX_SRC ($ucx_src_version)])
    AS_IF([test "x$ucx_src_version" = "x$UCX_VERSION"], [],
        [AC_MSG_ERROR([the private headers in $UCX_SRC are of
UCX $ucx_src_version, but the installed library is $UCX_VERSION. Structures differ between
versions and the transport would crash: use the source of $UCX_VERSION
(contrib/ucx-headers.sh fetches it).])])

    # 4. config.h of the installed library. Its package names are not ours.
    AC_MSG_CHECKING([for UCX's build configuration])
    $MKDIR_P ucx-config
    LD_PRELOAD= $ucx_run -b 2>/dev/null | $SED -n -e '/^#define PACKAGE/d' \
        -e '/^#define VERSION/d' -e '/^#define LT_OBJDIR/d' \
        -e '/^#define/p' > ucx-config/config.h.new
    AS_IF([grep UCX_CONFIG_H ucx-config/config.h.new >/dev/null], [],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([`$UCX_INFO -b' does not list UCX's build defines
(UCX_CONFIG_H is missing), so the layout of its structures is unknown.])])
    AS_IF([cmp -s ucx-config/config.h.new ucx-config/config.h],
        [rm -f ucx-config/config.h.new],
        [mv -f ucx-config/config.h.new ucx-config/config.h])
    AC_MSG_RESULT([ucx-config/config.h])

    ucx_efa_layout=
    UCX_EFA_UCX_DEFINE([ENABLE_ASSERT])
    UCX_EFA_UCX_DEFINE([ENABLE_STATS])
    UCX_EFA_UCX_DEFINE([ENABLE_DEBUG_DATA])
    UCX_EFA_UCX_DEFINE([ENABLE_MT])
    UCX_EFA_UCX_DEFINE([ENABLE_PARAMS_CHECK])

    UCX_CPPFLAGS="-I\$(top_builddir)/ucx-config -isystem $UCX_SRC/src"
    AS_IF([test -n "$ucx_prefix"],
        [UCX_CPPFLAGS="$UCX_CPPFLAGS -isystem $ucx_include"])

    UCX_PUBLIC_CPPFLAGS=
    test -z "$ucx_prefix" || UCX_PUBLIC_CPPFLAGS="-isystem $ucx_include"

    # 5. Does all that compile, and link with the library?
    AC_MSG_CHECKING([that UCX's private headers and libraries fit])
    save_CPPFLAGS=$CPPFLAGS
    save_CFLAGS=$CFLAGS
    save_LIBS=$LIBS
    CPPFLAGS="-Iucx-config -isystem $UCX_SRC/src -isystem $ucx_include $CPPFLAGS"
    CFLAGS="-std=gnu11 $CFLAGS"
    LIBS="$UCX_LDFLAGS $UCX_RPATH $UCX_LIBS $LIBS"
    AC_LINK_IFELSE([AC_LANG_SOURCE([[
        #define HAVE_CONFIG_H 1
        #include "config.h"
        #include <uct/base/uct_iface.h>
        #include <uct/base/uct_md.h>
        #include <ucs/datastruct/arbiter.h>
        #include <uct/api/version.h>
        int main(void)
        {
            uct_component_register((uct_component_t*)0);
            return (int)sizeof(uct_base_iface_t) + (int)sizeof(uct_base_ep_t);
        }
        ]])], [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([a program with UCX's private headers does not link: see
config.log. Are libuct and libucs $UCX_VERSION, with their headers, in place?])])

    # The library itself tells whether it keeps statistics.
    AC_MSG_CHECKING([whether UCX was built with statistics])
    AC_LINK_IFELSE([AC_LANG_SOURCE([[
        void ucs_stats_node_free(void *);
        int main(void) { ucs_stats_node_free((void*)0); return 0; }
        ]])], [ucx_lib_stats=1], [ucx_lib_stats=0])
    AC_MSG_RESULT([$ucx_lib_stats])
    LIBS=$save_LIBS
    CFLAGS=$save_CFLAGS
    CPPFLAGS=$save_CPPFLAGS
    AS_IF([test "$ucx_lib_stats" != "${ucx_ENABLE_STATS:-0}"],
        [AC_MSG_ERROR([ucx_info says ENABLE_STATS=${ucx_ENABLE_STATS:-0}, but libucs was built with
ENABLE_STATS=$ucx_lib_stats: ucx_info and libucs belong to different builds of UCX.])])

    # 6. Where the transport goes.
    AC_MSG_CHECKING([for UCX's module directory])
    for ucx_libdir in ${ucx_prefix:+"$ucx_prefix/lib" "$ucx_prefix/lib64"} \
        "/usr/lib/`$CC -print-multiarch 2>/dev/null`" /usr/lib64 /usr/lib; do
        test -e "$ucx_libdir/libucs.so.0" && break
    done
    UCX_STOCK_MODULE_DIR=$ucx_libdir/ucx
    AC_MSG_RESULT([$UCX_STOCK_MODULE_DIR])
    ucx_efa_prefix=$prefix
    test "x$ucx_efa_prefix" = xNONE && ucx_efa_prefix=$ac_default_prefix
    AS_IF([test -n "$with_ucx_module_dir"],
            [ucxmoduledir=$with_ucx_module_dir],
        [ucxmoduledir='${libdir}/ucx'
         AS_CASE([$UCX_STOCK_MODULE_DIR],
            [$ucx_efa_prefix/local/*], [],
            [$ucx_efa_prefix/*], [ucxmoduledir=$UCX_STOCK_MODULE_DIR])])

    # Of the transport's file, which the module looks for
    UCX_LAYOUT=
    AS_CASE([$ucx_ENABLE_ASSERT], [''|0], [], [UCX_LAYOUT=-assert])
    test "$ucx_lib_stats" = 0 || UCX_LAYOUT=$UCX_LAYOUT-stats

    AC_DEFINE_UNQUOTED([UCX_EFA_UCX_MAJOR], [$UCX_MAJOR],
        [Version of UCX that the transport is built for])
    AC_DEFINE_UNQUOTED([UCX_EFA_UCX_MINOR], [$UCX_MINOR],
        [Version of UCX that the transport is built for])
    AC_SUBST([UCX_VERSION])
    AC_SUBST([UCX_MAJOR])
    AC_SUBST([UCX_MINOR])
    AC_SUBST([UCX_LAYOUT])
    AC_SUBST([UCX_SRC])
    AC_SUBST([UCX_CPPFLAGS])
    AC_SUBST([UCX_LDFLAGS])
    AC_SUBST([UCX_RPATH])
    AC_SUBST([UCX_PUBLIC_CPPFLAGS])
    AC_SUBST([UCX_LIBS])
    AC_SUBST([UCX_STOCK_MODULE_DIR])
    AC_SUBST([ucxmoduledir])
])


# UCX_EFA_UCX_TREE_VERSION(configure.ac, VARIABLE): version of a source tree.
AC_DEFUN([UCX_EFA_UCX_TREE_VERSION], [
    $2=`$SED -n \
        -e 's/^.*ucx_ver_major., *\(@<:@0-9@:>@*\)).*/\1/p' \
        -e 's/^.*ucx_ver_minor., *\(@<:@0-9@:>@*\)).*/\1/p' \
        -e 's/^.*ucx_ver_patch., *\(@<:@0-9@:>@*\)).*/\1/p' "$1" |
        tr '\n' '.' | $SED 's/\.$//'`
])


# UCX_EFA_UCX_DEFINE(NAME): value in UCX's config.h, printed, added to the
# summary; sets ucx_NAME.
AC_DEFUN([UCX_EFA_UCX_DEFINE], [
    AC_MSG_CHECKING([for $1 in UCX])
    ucx_$1=`$SED -n 's/^#define $1 *\(.*\)$/\1/p' ucx-config/config.h`
    AC_MSG_RESULT([${ucx_$1:-not defined}])
    ucx_efa_layout="$ucx_efa_layout $1=${ucx_$1:-undefined}"
])
