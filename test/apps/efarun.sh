#!/usr/bin/env bash
# efarun: choice, options, exit status, signals, being started by and starting
# other tools, the build tree and an installation.
# shellcheck disable=SC2016 # for the shells below
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

# run STATUS NAME ARGUMENTS...: efarun ends with STATUS
run()
{
    local expected=$1 name=$2 status=0
    shift 2

    "$EFARUN" "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null || status=$?
    if [ $status != "$expected" ]; then
        not_ok "$name" "status $status, not $expected: $(head -n 2 "$TMPDIR/err")"
        return 1
    fi
}

# says NAME FILE LINE: the whole of the file is that line
says()
{
    if [ "$(cat "$2")" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "'$(cat "$2")', not '$3'"
    fi
}

# who serves: this version, for the versions of UCX that it was built for
versions=$(cd "$BUILD/src/uct/ib/efa/.libs" && echo libefasrd-*.so)
versions=${versions#libefasrd-}
srd="srd of ucx-efa $("$EFARUN" --version | sed 's/.* //') for UCX ${versions%.so}"
run 0 "Soft-EFA is announced" --soft true &&
    says "Soft-EFA is announced" "$TMPDIR/err" "efarun: Soft-EFA, 1 device, $srd"
run 0 "devices are counted" --soft --devices 3 true &&
    says "devices are counted" "$TMPDIR/err" "efarun: Soft-EFA, 3 devices, $srd"
run 0 "--quiet" --soft --quiet true && says "--quiet" "$TMPDIR/err" ""
OMPI_COMM_WORLD_RANK=1 run 0 "other ranks say nothing" --soft true &&
    says "other ranks say nothing" "$TMPDIR/err" ""

run 0 "upstream's srd is announced" --soft --transport upstream env &&
    says "upstream's srd is announced" "$TMPDIR/err" \
        "efarun: Soft-EFA, 1 device, srd of UCX itself" &&
    says "--transport becomes a variable" \
        <(grep ^EFARUN_ "$TMPDIR/out") EFARUN_TRANSPORT=upstream
EFARUN_TRANSPORT=upstream run 0 "--transport ucx-efa" --soft \
        --transport ucx-efa true &&
    says "--transport ucx-efa" "$TMPDIR/err" "efarun: Soft-EFA, 1 device, $srd"
run 125 "a wrong --transport is refused" --transport srd true &&
    says "a wrong --transport is refused" "$TMPDIR/err" \
        "efarun: --transport srd: expected ucx-efa or upstream (efarun --help)"
UCX_MODULES=^efasrd run 0 "UCX_MODULES is announced" --soft true &&
    says "UCX_MODULES is announced" "$TMPDIR/err" \
        "efarun: Soft-EFA, 1 device, srd of UCX itself if it has one, as UCX_MODULES=^efasrd leaves efasrd out"

# What cannot be served runs all the same
musl=$TMPDIR/ld-musl-test.so.1
cp "$(sed -n 's/.* \(\/[^ ]*\/ld-[^ ]*\)$/\1/p' /proc/self/maps | head -n 1)" \
    "$musl" && gcc -o "$TMPDIR/musl_app" -Wl,--dynamic-linker="$musl" -x c - << 'END'
#include <stdio.h>
#include <stdlib.h>
int main(void) { puts(getenv("LD_PRELOAD") ? "preload" : "none"); return 5; }
END
run 5 "a program for musl" --soft "$TMPDIR/musl_app" &&
    says "a program for musl is told" "$TMPDIR/err" \
        "efarun: $TMPDIR/musl_app runs on the C library musl, ucx-efa on glibc: it has no srd; use a build of it for glibc" &&
    says "a program for musl has no LD_PRELOAD" "$TMPDIR/out" none

if [ "$(id -u)" = 0 ]; then
    mkdir -m 755 "$TMPDIR/open"
    cp "$(type -P true)" "$TMPDIR/open/setuid"
    chmod u+s "$TMPDIR/open/setuid"
    chown 1 "$TMPDIR/open/setuid"
    chmod u+s "$TMPDIR/open/setuid"
    PATH=$PATH:$TMPDIR/open run 0 "a setuid program" --soft setuid &&
        says "a setuid program is told" "$TMPDIR/err" \
            "efarun: setuid is setuid, setgid or has capabilities: the dynamic linker ignores LD_PRELOAD there, so it has no srd; run a copy of it without them"
    chown 0 "$TMPDIR/open/setuid"
    chmod u+s "$TMPDIR/open/setuid"
    run 0 "setuid to the same user is served" --soft "$TMPDIR/open/setuid" &&
        says "setuid to the same user is served" "$TMPDIR/err" \
            "efarun: Soft-EFA, 1 device, $srd"
else
    skip "a setuid program" "needs root to make one"
fi

run 0 "options become variables" --soft --devices 2 --profile efa2 \
        --reorder=8 --seed 5 --fabric other env &&
    says "options become variables" \
        <(grep ^SOFTEFA_ "$TMPDIR/out" | sort | tr '\n' ' ') \
        "SOFTEFA_DEVICES=2 SOFTEFA_FABRIC=other SOFTEFA_PROFILE=efa2 SOFTEFA_REORDER=8 SOFTEFA_SEED=5 "

run 125 "a wrong plan is refused" --soft --faults 'rnr; pause for=1' true &&
    says "a wrong plan is refused" "$TMPDIR/err" \
        "efarun: softefa: SOFTEFA_FAULTS: rule 2 (pause): for=1 is not a time with its unit, as in 20ms"
run 125 "an order without processes" --fabric "$SOFTEFA_FABRIC-none" \
        --inject 'fatal dev=0' &&
    says "an order without processes" <(grep -c "no process is in fabric" \
        "$TMPDIR/err") 1
run 125 "a wrong order" --inject 'fatal device=0' &&
    says "a wrong order" "$TMPDIR/err" \
        'softefa: inject: rule 1 (fatal): fatal has no key "device"'

run 7 "exit status" --soft -- sh -c 'exit 7' && ok "exit status"
run 127 "a command that is not there" --soft /nonexistent/command &&
    ok "a command that is not there"
run 126 "a command that cannot be run" --soft /dev/null &&
    ok "a command that cannot be run"
run 125 "an unknown option" --soft --nonsense true && ok "an unknown option"
run 125 "no command" --soft && ok "no command"
run 125 "a wrong value is refused" --soft --devices many true &&
    says "a wrong value is refused" <(grep -c "SOFTEFA_DEVICES=many" "$TMPDIR/err") 1
if ! grep -qs 0x1d0f /sys/class/infiniband/*/device/vendor; then
    run 125 "--no-soft without a device" --no-soft true &&
        says "--no-soft without a device" \
            <(grep -c "no EFA device" "$TMPDIR/err") 1
fi
run 0 "--help lists Soft-EFA's options" --help &&
    says "--help lists Soft-EFA's options" \
        <(grep -c '^  SOFTEFA_REORDER' "$TMPDIR/out") 1
run 0 "--version" --version &&
    says "--version" <(grep -c '^efarun (ucx-efa) [0-9]' "$TMPDIR/out") 1

# The program is the process that efarun was: signals need no relay
"$EFARUN" --soft --quiet -- sleep 1000 &
pid=$!
until [ "$(cat /proc/$pid/comm 2> /dev/null)" = sleep ]; do
    sleep 0.02
done
kill -TERM $pid
wait $pid
says "a signal reaches the program" <(echo $?) 143

run 0 "what was preloaded stays first" --soft -- sh -c 'echo "$LD_PRELOAD"' &&
    if [ -z "${LD_PRELOAD:-}" ]; then
        LD_PRELOAD=libdl.so.2 run 0 "what was preloaded stays first" \
            --soft -- sh -c 'echo "$LD_PRELOAD"' &&
            says "what was preloaded stays first" \
                <(cut -d: -f1 "$TMPDIR/out") libdl.so.2
    else
        says "what was preloaded stays first" \
            <(cut -d: -f1 "$TMPDIR/out") "${LD_PRELOAD%%:*}"
    fi
run 0 "efarun under efarun" --soft -- "$EFARUN" --soft -- \
        sh -c 'echo "$LD_PRELOAD" | tr : "\n" | grep -c softefa' &&
    says "efarun under efarun" "$TMPDIR/out" 1

if [ "$VARIANT" = plain ]; then
    if command -v valgrind > /dev/null; then
        check "under valgrind" "$EFARUN" --soft valgrind --error-exitcode=1 \
            --quiet ibv_devices
    else
        skip "under valgrind" "not installed"
    fi
    if command -v gdb > /dev/null; then
        "$EFARUN" --soft gdb -nx -batch -ex run -ex 'print $_exitcode' \
            --args ibv_devices > "$TMPDIR/out" 2> "$TMPDIR/err" < /dev/null
        says "under gdb" <(grep -cE '^(\$1 = 0| *efa_0 .*)$' "$TMPDIR/out") 2
    else
        skip "under gdb" "not installed"
    fi

    # A copy of the installed files elsewhere: found relative to efarun
    if make -C "$BUILD" install DESTDIR="$TMPDIR/dest" > "$TMPDIR/make" 2>&1; then
        bin=$(find "$TMPDIR/dest" -name efarun -type f)
        "$bin" --soft sh -c 'echo "$LD_PRELOAD"' > "$TMPDIR/out" 2>&1
        says "installed: its own libraries" \
            <(grep -o "$TMPDIR/dest" "$TMPDIR/out" | wc -l) 2
        "$bin" --soft --quiet ucx_info -d > "$TMPDIR/out" 2>&1
        says "installed: srd is there" \
            <(grep -c 'Transport: srd' "$TMPDIR/out") 1

        # Our module had the name of upstream's once: only ours is removed
        old=$(dirname "$(find "$TMPDIR/dest" -name libuct_efasrd.so.0)")
        old=$old/libuct_ib_efa.so.0.0.0
        for what in UCX_IB_ UCX_EFA_; do
            echo $what > "$old"
            make -C "$BUILD/src/uct/ib/efa" install DESTDIR="$TMPDIR/dest" \
                > "$TMPDIR/make" 2>&1
            [ ! -e "$old" ] || cat "$old"
        done > "$TMPDIR/out"
        says "installed: of upstream's files none is removed" "$TMPDIR/out" \
            UCX_IB_
    else
        not_ok "make install" "$(tail -n 1 "$TMPDIR/make")"
    fi
fi

finish
