# Warnings, as UCX_EFA_CFLAGS (C) and UCX_EFA_CXXFLAGS (C++), put into
# AM_CFLAGS and AM_CXXFLAGS; --enable-werror is for check.sh.
AC_DEFUN([UCX_EFA_WARNINGS], [
    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror], [warnings are errors])],
        [], [enable_werror=no])
    AM_CFLAGS="-std=gnu11 -Wall -Wextra"
    AM_CXXFLAGS="-std=c++17 -Wall -Wextra"
    AS_IF([test "x$enable_werror" = xyes], [
        AM_CFLAGS="$AM_CFLAGS -Werror"
        AM_CXXFLAGS="$AM_CXXFLAGS -Werror"
    ])
    AC_SUBST([AM_CFLAGS])
    AC_SUBST([AM_CXXFLAGS])
])


# What the tests can use: GoogleTest, MPI compilers. None is needed to build
# the product.
AC_DEFUN([UCX_EFA_CHECK_TESTS], [
    AC_MSG_CHECKING([for GoogleTest])
    AC_LANG_PUSH([C++])
    save_LIBS=$LIBS
    save_CXXFLAGS=$CXXFLAGS
    CXXFLAGS="$CXXFLAGS $AM_CXXFLAGS"
    LIBS="-lgtest -lpthread $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <gtest/gtest.h>]],
        [[int argc = 0; ::testing::InitGoogleTest(&argc, (char**)nullptr);]])],
        [have_gtest=yes], [have_gtest=no])
    LIBS=$save_LIBS
    CXXFLAGS=$save_CXXFLAGS
    AC_LANG_POP([C++])
    AC_MSG_RESULT([$have_gtest])
    AS_IF([test "x$have_gtest" = xno],
          [AC_MSG_WARN([the tests in C++ are not built: no GoogleTest (Debian:
libgtest-dev), or a program with it does not link, see config.log])])
    AC_SUBST([GTEST_LIBS], ["-lgtest -lpthread"])
    AM_CONDITIONAL([HAVE_GTEST], [test "x$have_gtest" = xyes])

    # For test/fuzz only, so whatever CC is
    AC_CHECK_PROG([LIBFUZZER_CC], [clang], [clang], [no])
    AC_MSG_CHECKING([for libFuzzer])
    AS_IF([test "x$LIBFUZZER_CC" != xno &&
           echo 'int LLVMFuzzerTestOneInput(const char *d, long n);
                 int LLVMFuzzerTestOneInput(const char *d, long n)
                 { return !d && n; }' > conftest.c &&
           $LIBFUZZER_CC -fsanitize=address,undefined,fuzzer -o conftest$EXEEXT \
               conftest.c > /dev/null 2>&1],
          [have_libfuzzer=yes], [have_libfuzzer=no])
    rm -f conftest.c conftest$EXEEXT
    AC_MSG_RESULT([$have_libfuzzer])
    AM_CONDITIONAL([HAVE_LIBFUZZER], [test "x$have_libfuzzer" = xyes])

    AC_CHECK_PROG([MPICC_OPENMPI], [mpicc.openmpi], [mpicc.openmpi], [no])
    AC_CHECK_PROG([MPICC_MPICH], [mpicc.mpich], [mpicc.mpich], [no])
    AM_CONDITIONAL([HAVE_OPENMPI], [test "x$MPICC_OPENMPI" != xno])
    AC_CHECK_PROG([OSHCC], [oshcc], [oshcc], [no])
    AM_CONDITIONAL([HAVE_OSHMEM], [test "x$OSHCC" != xno])
    AM_CONDITIONAL([HAVE_MPICH], [test "x$MPICC_MPICH" != xno])
])


# json-c, by which srdtool prints JSON. Sets JSON_C_LIBS.
AC_DEFUN([UCX_EFA_CHECK_JSON], [
    AC_CHECK_HEADER([json-c/json.h], [],
        [AC_MSG_ERROR([json-c/json.h not found: install json-c's headers (Debian:
libjson-c-dev, or run contrib/install-deps.sh)])])
    save_LIBS=$LIBS
    AC_CHECK_LIB([json-c], [json_object_new_uint64], [JSON_C_LIBS=-ljson-c],
        [AC_MSG_ERROR([a program with -ljson-c (0.14 or later) does not link, see config.log])])
    LIBS=$save_LIBS
    AC_SUBST([JSON_C_LIBS])
])
