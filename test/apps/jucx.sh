# shellcheck shell=bash
# Sourced by what runs JUCX programs of test/java: java.sh, and contrib/demo.sh.
#
#   jucx_missing && echo "$jucx_why"
#   jucx_find                        # sets jucx
#   jucx_maven test-compile -D...

# jucx_missing: whether a program is, and which (jucx_why)
jucx_missing()
{
    local command

    for command in javac mvn; do
        command -v $command > /dev/null || {
            # shellcheck disable=SC2034 # for who sources this
            jucx_why="$command (Debian: default-jdk-headless, maven)"
            return 0
        }
    done
    return 1
}

# jucx_find: sets jucx, the version of JUCX for the UCX of the system: not newer.
# Maven Central has 1.12.1 and 1.18.0, and some between.
jucx_find()
{
    local ucx

    jucx=1.12.1
    ucx=$(ucx_info -v 2> /dev/null |
        sed -n 's/.*[Vv]ersion[: ]*1\.\([0-9]*\).*/\1/p' | head -n 1)
    [ "${ucx:-13}" -lt 18 ] || jucx=1.18.0
}

# jucx_maven ARGUMENT...: Maven on test/java
jucx_maven()
{
    mvn -B -q -f "$TOP/test/java/pom.xml" -Djucx.version="$jucx" "$@"
}
