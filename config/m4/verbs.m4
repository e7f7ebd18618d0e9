# Finds libibverbs and libefa, and what this libefa can do.
#
#   --with-verbs=PREFIX   where rdma-core is installed (default: the system's)
#
# Sets VERBS_CPPFLAGS, VERBS_LDFLAGS, VERBS_LIBS (libefa and libibverbs),
# ucx_efa_verbs_features; defines HAVE_*.
AC_DEFUN([UCX_EFA_CHECK_VERBS], [
    AC_ARG_WITH([verbs],
        [AS_HELP_STRING([--with-verbs=PREFIX], [where rdma-core is installed])],
        [], [with_verbs=yes])
    VERBS_CPPFLAGS=
    VERBS_LDFLAGS=
    VERBS_LIBS="-lefa -libverbs"
    AS_CASE([$with_verbs],
        [no], [AC_MSG_ERROR([--without-verbs: there is nothing to build then])],
        [yes|''], [],
        [VERBS_CPPFLAGS="-isystem $with_verbs/include"
         VERBS_LDFLAGS="-L$with_verbs/lib -Wl,-rpath,$with_verbs/lib"])

    save_CPPFLAGS=$CPPFLAGS
    save_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $VERBS_CPPFLAGS"
    AC_CHECK_HEADERS([infiniband/verbs.h infiniband/efadv.h], [],
        [AC_MSG_ERROR([$ac_header not found: install rdma-core's headers (Debian:
libibverbs-dev, or run contrib/install-deps.sh), or give --with-verbs=PREFIX])])
    LIBS="$VERBS_LDFLAGS $VERBS_LIBS $LIBS"
    AC_MSG_CHECKING([that libefa links])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <infiniband/efadv.h>]],
        [[(void)efadv_wc_read_sgid; (void)EFADV_WC_EX_WITH_SGID;
          return efadv_create_cq(0, 0, 0, 0) != 0;]])],
        [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
         AC_MSG_ERROR([a program with -lefa -libverbs does not link, or has no
CQs with source GIDs: rdma-core 43 or newer is needed. See config.log])])

    # For tests, and static asserts of the product, which has its own numbers
    ucx_efa_verbs_features=
    UCX_EFA_VERBS_FEATURE([EFADV_RDMA_WRITE], [RDMA write],
        [(void)EFADV_DEVICE_ATTR_CAPS_RDMA_WRITE;])
    UCX_EFA_VERBS_FEATURE([EFADV_UNSOLICITED_WRITE_RECV],
        [unsolicited write receive],
        [(void)EFADV_DEVICE_ATTR_CAPS_UNSOLICITED_WRITE_RECV;
         (void)EFADV_QP_FLAGS_UNSOLICITED_WRITE_RECV;])
    UCX_EFA_VERBS_FEATURE([EFADV_QUERY_QP_WQS], [direct access to its queues],
        [return (efadv_query_qp_wqs(0, 0, 0, 0) != 0) +
                (efadv_query_cq(0, 0, 0) != 0);])
    LIBS=$save_LIBS
    CPPFLAGS=$save_CPPFLAGS

    AC_SUBST([VERBS_CPPFLAGS])
    AC_SUBST([VERBS_LDFLAGS])
    AC_SUBST([VERBS_LIBS])
])


# UCX_EFA_VERBS_FEATURE(NAME, TEXT, BODY): HAVE_NAME if BODY compiles, also for
# the transport, which includes UCX's configuration and not ours.
AC_DEFUN([UCX_EFA_VERBS_FEATURE], [
    AC_MSG_CHECKING([whether libefa has $2])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <infiniband/efadv.h>]], [[$3]])],
        [AC_MSG_RESULT([yes])
         ucx_efa_verbs_features="$ucx_efa_verbs_features $1"
         VERBS_CPPFLAGS="$VERBS_CPPFLAGS -DHAVE_$1=1"
         AC_DEFINE([HAVE_$1], [1], [libefa has $2])],
        [AC_MSG_RESULT([no])])
])
