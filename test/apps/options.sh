#!/usr/bin/env bash
# Bad input: each option of the transport, of Soft-EFA, of efarun and of srdtool
# at 0, 1, the ends of its range, beyond them, negative, empty, and as garbage;
# and environments in which something is missing, full or forbidden.
#
# What options there are, and their ranges, is asked of the programs: an option
# that is added is tested. For each value something real runs (option_try.c):
#
#   works, or ends with a line that names the option and what is allowed
#   never a signal, a wrong byte, a hang; a value out of range never works
#
# shellcheck disable=SC2317 # functions that are called by name
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need ucx_info ucx-utils

SRDTOOL=$BUILD/src/tools/srdtool
TRY=$APPS/option_try
for program in "$TRY" "$APPS/stats_write"; do
    if [ ! -x "$program" ]; then
        not_ok "${0##*/}" "$program is missing: build first (check-programs)"
        finish
    fi
done

export UCX_TLS=srd XDG_RUNTIME_DIR

long=$(printf '%3000s' '' | tr ' ' a)
# What no option takes, and what numbers are not
garbage=(1x 0x10 1e3 nan -1 '1 2' '%s%n' $'\t' "$long")
# In each of the types that numbers have
large=(2147483648 4294967296 18446744073709551616)

# Only ends what hangs: a value takes a tenth of a second
guard=120

# tried COMMAND...: its status in $status, its output in $out. Through a pipe:
# limits of file sizes are not for the output.
tried()
{
    # the shell's own word about a signal: it is judged below
    { timeout -k 5 "$guard" "$@" 2>&1 < /dev/null | cat > "$out"
      status=${PIPESTATUS[0]}; } 2> /dev/null
}

# fault NAME EXPECTED ALLOWED: what is wrong with what was tried; nothing if it is
# well. NAME: regular expression that an error must have; EXPECTED: works,
# refused or any; ALLOWED: one that the line must have, too
allowed='no process|must be|xpected|is not|has no|no [a-z]+ is called|cannot|at most|needs|names? |one of|missing|which|unknown|unrecognized|requires|argument|ambiguous|more than|longer than|there twice|invalid option|raise|No such|too (short|long|large)'
fault()
{
    local name=$1 expected=$2 words=${3:-$allowed}

    if grep -q -a -E 'Sanitizer|runtime error:' "$out"; then
        echo "a sanitizer's error"
    elif [ "$status" = 124 ] || [ "$status" = 137 ]; then
        echo "hangs"
    elif [ "$status" -gt 128 ]; then
        echo "ended by signal $((status - 128))"
    elif [ "$status" = 3 ]; then
        echo "wrong data"
    elif [ "$status" = 0 ]; then
        [ "$expected" != refused ] || echo "is taken"
    elif [ "$expected" = works ]; then
        echo "does not work: $(head -n 2 "$out" | cut -c 1-200)"
    elif [ "$(grep -a -E -e "$name" "$out" | grep -c -a -E -e "$words")" = 0 ]; then
        echo "no word about it, or what is allowed: $(head -c 200 "$out")"
    fi
}

# Of one option, or whatever belongs together
begin()
{
    title=$1
    number=0
    faults=
}

# value TEXT NAME EXPECTED [ALLOWED]: judges what was tried last
value()
{
    local text=$1 what
    shift

    number=$((number + 1))
    what=$(fault "$@")
    [ -z "$what" ] || faults="$faults '${text:0:40}': $what;"
}

end()
{
    if [ "$number" = 0 ]; then
        not_ok "$title" "nothing was tried"
    elif [ -n "$faults" ]; then
        not_ok "$title" "$faults"
    else
        ok "$title ($number)"
    fi
}

# ---- UCX_SRD_*, UCX_EFA_* ----------------------------------------------------

test_transport()
{
    # NAME|DEFAULT|SYNTAX of all, as ucx_info prints them
    "$EFARUN" --soft --quiet -- ucx_info -caf 2> /dev/null |
        sed -nE -e '/^# syntax: +/{s///; h}' \
            -e '/^UCX_(SRD|EFA)_[A-Z_]+=/{s/=/|/; G; s/\n/|/; p}' |
        sort -u > "$TMPDIR/ucx"
    [ "$(grep -c '|number, \|from [0-9]\|time: ' "$TMPDIR/ucx")" -gt 15 ] ||
        not_ok "options of the transport" "ucx_info shows no ranges"

    # try_ucx NAME EXPECTED VALUE...
    try_ucx()
    {
        local name=$1 expected=$2 text words
        shift 2

        for text in "$@"; do
            tried env "$name=$text" "$EFARUN" --soft --quiet -- "$TRY"
            # UCX's parser says the name without what all have in front; of a long
            # value it says no more
            words=$allowed
            [ ${#text} -lt 200 ] || words='Invalid value'
            value "$text" "\\b(${name}|${name#UCX_???_})\\b" "$expected" "$words"
        done
    }

    while IFS='|' read -r name default syntax; do
        begin "$name"
        try_ucx "$name" works "$default"
        try_ucx "$name" any 0 1 inf auto
        case $syntax in
        number,*)
            read -r min max < <(sed -nE 's/.*, ([0-9]+) to ([0-9]+).*/\1 \2/p' \
                                    <<< "$syntax")
            try_ucx "$name" any "$min" "$max"
            try_ucx "$name" refused '' $((max + 1))
            for text in "${large[@]}"; do
                # the last is more than the shell knows
                if [ ${#text} -gt 18 ] || [ "$text" -gt "$max" ]; then
                    try_ucx "$name" refused "$text"
                fi
            done
            [ "$min" = 0 ] || try_ucx "$name" refused $((min - 1))
            case $syntax in
            *power*) try_ucx "$name" refused $((min + 1)) ;;
            esac
            # -1 and inf are words of some, and a fraction is
            for text in "${garbage[@]}"; do
                case $text:$syntax in
                -1:*' -1 '*) try_ucx "$name" works "$text" ;;
                *) try_ucx "$name" refused "$text" ;;
                esac
            done
            ;;
        bytes:*|time:*)
            try_ucx "$name" any 2147483648 18446744073709551615 1k 1s 100ms \
                1000000000s
            try_ucx "$name" refused '' 18446744073709551616 99999999999t -1s \
                infs "${garbage[@]}"
            ;;
        *)
            # UCX's own types let some of it through
            try_ucx "$name" any '' y n "${large[@]}" ',' "${garbage[@]}"
            ;;
        esac
        end
    done < "$TMPDIR/ucx"

    # What cannot be had is waited for without end by nobody: little memory, large
    # queues, and a pool that wants all of them at once
    begin "memory that is short"
    for ((kib = 4840000; kib < 4960000; kib += 12000)); do
        [ "$VARIANT" = plain ] || break
        tried bash -c "ulimit -v $kib"' && exec "$@"' bash \
            env UCX_SRD_TX_QUEUE_LEN=4000 UCX_SRD_TX_BUFS_GROW=4000 \
            "$EFARUN" --soft --quiet -- "$TRY"
        # UCX's own thread
        grep -q -a 'ucs_async_thread_global_context' "$out" ||
            value "$kib KiB" 'emory|failed to map' any .
    done
    [ "$VARIANT" = plain ] && end
}

# ---- SOFTEFA_* ---------------------------------------------------------------

test_device()
{
    grep -oE '^  SOFTEFA_[A-Z_]+' "$all/help" | tr -d ' ' > "$TMPDIR/soft"
    sed '1,/^Limits:/d' "$all/help" > "$TMPDIR/limits"

    # try_soft NAME EXPECTED VALUE...: NAME is a variable, or one with a limit
    try_soft()
    {
        local name=$1 expected=$2 text
        shift 2

        for text in "$@"; do
            tried env "$name$text" "$EFARUN" --soft --quiet -- "$TRY"
            value "$text" "(${name%%=*}|$(sed -E 's/=$//; s/.*=//' <<< "$name"))" \
                "$expected"
        done
    }

    while read -r name; do
        begin "$name"
        try_soft "$name=" any 0 1 "${large[@]}" ',' = @ @/nonexistent @/ @/dev/zero \
            @/proc/self/mem @/dev/null ../x /tmp a.b
        try_soft "$name=" works ''
        for text in "${garbage[@]}"; do
            case $name:$text in
            # a name; a hexadecimal number; a word alone in its line; none at all
            SOFTEFA_FABRIC:*|*:0x10|SOFTEFA_FAULTS:$'\t')
                try_soft "$name=" any "$text" ;;
            *)  try_soft "$name=" refused "$text" ;;
            esac
        done
        # what is not a name of a file
        [ "$name" != SOFTEFA_FABRIC ] ||
            try_soft "$name=" refused .. a/b 'a b' '%s%n' "$long" \
                "$(printf '%32s' '' | tr ' ' b)"
        # the ends of what help says
        if range=$(grep -oE "^  $name .*[0-9]+ to [0-9]+" "$all/help"); then
            read -r min max < <(sed -E 's/.* ([0-9]+) to ([0-9]+)$/\1 \2/' \
                                    <<< "$range")
            try_soft "$name=" any "$min" "$max"
            try_soft "$name=" refused $((max + 1)) $((min - 1))
        fi
        end
    done < "$TMPDIR/soft"

    begin "a variable that is not one"
    try_soft SOFTEFA_PROFIL= refused efa1 ''
    tried env "SOFTEFA_${long:0:300}=1" "$EFARUN" --soft --quiet -- "$TRY"
    value "a long one" 'is not an option' refused
    end

    while read -r name min _ max; do
        begin "SOFTEFA_LIMITS=$name"
        # what is left may be too little for the transport
        try_soft "SOFTEFA_LIMITS=$name=" any "$min" 1 2 33 256 "$max"
        try_soft "SOFTEFA_LIMITS=$name=" refused '' $((max + 1)) $((min - 1)) x \
            1x 18446744073709551616 "$long"
        end
    done < "$TMPDIR/limits"
    [ "$(wc -l < "$TMPDIR/limits")" -gt 10 ] ||
        not_ok "limits" "efarun --help has none"

    begin "SOFTEFA_FAULTS"
    plans=('delay us=60000001' 'delay us=-1' 'delay' 'rnr p=2' 'rnr p=nan' 'rnr p='
           'rnr p=.' 'rnr p=1e9' 'status code=0' 'status code=16' 'pause for=1'
           'pause for=99999999999999999999s' 'pause for=1152921505s' 'rnr every=0'
           'rnr count=18446744073709551615' 'fatal dev=16' 'kill at=nowhere'
           'fail cmd=any errno=EX' 'rnr rnr=1' 'rnr dev=0 dev=0' 'rnr =' 'rnr x'
           "rnr $long=1" "rnr p=$long" 'reorder depth=4097' 'corrupt what=all')
    try_soft SOFTEFA_FAULTS= refused "${plans[@]}"
    printf 'rnr;%.0s' {1..33} > "$TMPDIR/plan"
    head -c 70000 /dev/zero | tr '\0' '#' > "$TMPDIR/large"
    head -c 1000 /dev/urandom | tr -d '\0\n' > "$TMPDIR/noise"
    try_soft SOFTEFA_FAULTS= refused "@$TMPDIR/plan" "@$TMPDIR/large"
    try_soft SOFTEFA_FAULTS= any "@$TMPDIR/noise" "@$TMPDIR"
    end
}

# ---- efarun ------------------------------------------------------------------

test_starter()
{
    # its own options: what begins a line, and whether it wants a value
    sed -nE -e '/^With Open MPI/q' \
        -e 's/^  (--[a-z-]+)( [A-Z]+|[[]=[A-Z]+[]])?.*/\1 \2/p' "$all/help" \
        > "$TMPDIR/efarun"

    # try_efarun EXPECTED NAME ARGUMENTS...
    try_efarun()
    {
        local expected=$1 name=$2
        shift 2

        tried "$EFARUN" "$@"
        value "$*" "$name" "$expected"
    }

    while read -r name operand; do
        begin "efarun $name"
        variable=SOFTEFA_$(tr '[:lower:]' '[:upper:]' <<< "${name#--}")
        words="($name|$variable|inject)"
        case $operand in
        '')
            try_efarun refused "$words" --soft "$name=1" true
            try_efarun any "$words|no EFA device|--soft" "$name" --soft true
            ;;
        *)
            [ "$operand" = '[=N]' ] ||
                try_efarun refused "$words" --soft "$name"
            [ "$operand" = '[=N]' ] ||
                try_efarun refused "COMMAND|inject" --soft "$name" true
            for text in 0 1 "${large[@]}" '' ',' / "${garbage[@]}"; do
                try_efarun any "$words" --soft --quiet "$name=$text" true
            done
            ;;
        esac
        end
    done < "$TMPDIR/efarun"
    [ "$(wc -l < "$TMPDIR/efarun")" -gt 8 ] || not_ok "efarun" "--help has no options"

    begin "efarun, the line"
    try_efarun refused COMMAND
    try_efarun refused COMMAND --soft --
    try_efarun refused -- --soft --no-such-option true
    try_efarun refused "'z'" --soft -z true
    try_efarun refused -- --soft --s true
    try_efarun refused 'cannot run' --soft ''
    try_efarun refused 'cannot run' --soft -- --soft
    try_efarun refused 'cannot run' --soft "$long"
    try_efarun refused 'cannot run' --soft /
    try_efarun works x --soft -- true --soft --no-such-option
    try_efarun works x --soft true -- --soft --nonsense=1
    try_efarun refused 'missing|cannot|no action' --inject '' true
    try_efarun refused 'no process' --fabric "$SOFTEFA_FABRIC-x" \
        --inject 'fatal dev=0'
    end
}

# ---- srdtool -----------------------------------------------------------------

test_tool()
{
    "$APPS/stats_write" "$TMPDIR/segment" <<- END
	header pid=7 command=app
	device name=efa_0 index=0 pd=1 pd_max=256 ah=3 ah_max=8 qp=1 qp_max=256
	iface name=efa_0:1 index=0 gid=1 qpn=12 tx_msgs=5 eps=6 create_time=@9000
	peer iface=0 qpn=41 gid=9 state=2 window=256 state_time=@8000
	ep index=0 iface=0 peer=1 create_time=@9000 site=app(main+0x1f)
	object kind=2 number=12 size=256 size2=512 create_time=@9000 site=main+4
	event event=0 a=0 b=1 qpn=41 gid=9 time=@100
END
    "$SRDTOOL" --help > "$TMPDIR/srdtool"
    mapfile -t objects < <(sed '1,/^Objects:/d; /^$/,$d' "$TMPDIR/srdtool" |
                               awk '{ print $1 }')

    # try_srdtool EXPECTED ARGUMENTS...: also fails without a word on its own
    try_srdtool()
    {
        local expected=$1
        shift

        tried "$EFARUN" --soft --quiet -- "$SRDTOOL" "$@"
        [ "$status" -le 2 ] || [ "$status" -gt 100 ] ||
            faults="$faults '$*': status $status;"
        value "$*" . "$expected" .
    }

    commands=('' show monitor help nonsense 'show x y' 'show pid' 'show pid 9-2'
              'show pid ,' 'show pid 1-' 'show pid 99999999999999999999999'
              'show qp' 'show ep why x' 'show peer state failed' 'show nic'
              'show iface qpn 12' "show $long" "pid $long" 'pid 1 pid 1 pid 1 pid 1
              pid 1 pid 1 pid 1 pid 1 pid 1 pid 1 pid 1 pid 1 pid 1 pid 1 pid 1
              pid 1 pid 1' '-j show' '--pid 999999999 show')
    for object in "${objects[@]}"; do
        begin "srdtool $object"
        for words in "${commands[@]}"; do
            case $object:$words in
            doctor:|doctor:nonsense|doctor:help) ;;
            # each looks at the whole machine, until it finds one word too many
            doctor:*) continue ;;
            # waits for events
            event:monitor) continue ;;
            esac
            # shellcheck disable=SC2086 # words
            try_srdtool any -n 1 -i 0.01 --file "$TMPDIR/segment" "$object" $words
            # shellcheck disable=SC2086 # words
            case $words in
            *' x y'|*9-2|nonsense) try_srdtool refused "$object" $words ;;
            esac
        done
        end
    done
    [ ${#objects[@]} -gt 5 ] || not_ok "srdtool" "--help has no objects"

    mkfifo "$TMPDIR/fifo"
    for bytes in 0 1 63 64 200 1000 4096; do
        head -c "$bytes" "$TMPDIR/segment" > "$TMPDIR/cut.$bytes"
    done
    head -c -64 "$TMPDIR/segment" > "$TMPDIR/cut"
    head -c 8192 /dev/urandom > "$TMPDIR/noise"
    ln -s segment "$TMPDIR/link"
    begin "srdtool, segments that are none"
    for file in '' /nonexistent / /dev/null /dev/zero /proc/self/mem "$long" \
            "$TMPDIR"/cut* "$TMPDIR/fifo" "$TMPDIR/noise" "$TMPDIR/link"; do
        for object in "${objects[@]}"; do
            case $object in
            doctor|selftest) ;;
            *) try_srdtool refused -n 1 --file "$file" "$object" ;;
            esac
        done
    done
    cp "$TMPDIR/segment" "$TMPDIR/forbidden"
    chmod 0 "$TMPDIR/forbidden"
    # root may read everything
    other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    if [ ! -r "$TMPDIR/forbidden" ]; then
        try_srdtool refused --file "$TMPDIR/forbidden" stat
    elif "${other[@]}" test -x "$SRDTOOL" 2> /dev/null; then
        tried "${other[@]}" "$SRDTOOL" --file "$TMPDIR/forbidden" stat
        value forbidden 'ermission denied' refused .
    else
        skip "srdtool, a segment without permission" \
            "this user may read everything, and no other may run srdtool"
    fi
    end

    # those of --help that have a value
    while read -r name; do
        begin "srdtool $name"
        try_srdtool refused stat "$name"
        for text in 0 1 "${large[@]}" 99999999999 '' "${garbage[@]}"; do
            case $name:$text in
            --file:*|--batch:*) try_srdtool refused "$name" "$text" stat ;;
            --interval:1e3|--*:-1|--*:[0n]*|--*:%*|--*:1x|--*:)
                try_srdtool refused "$name" "$text" --file "$TMPDIR/segment" stat ;;
            *)  try_srdtool any "$name" "$text" --file "$TMPDIR/segment" stat ;;
            esac
        done
        end
    done < <(sed -nE 's/^ +(-[a-z], +)?(--[a-z]+) [A-Z].*/\2/p' "$TMPDIR/srdtool")

    begin "srdtool --batch"
    printf 'stat\n%s\nstat\n' "$long" > "$TMPDIR/batch.word"
    printf '%s%s\n' "$long" "$long" > "$TMPDIR/batch.long"
    printf 'x %.0s' {1..100} > "$TMPDIR/batch.words"
    echo "-b $TMPDIR/batch.self" > "$TMPDIR/batch.self"
    for file in /nonexistent / /dev/zero /proc/self/mem "$TMPDIR/noise" \
            "$TMPDIR/segment" "$TMPDIR"/batch.*; do
        try_srdtool refused --batch "$file"
        try_srdtool refused --force --batch "$file"
    done
    try_srdtool works --batch /dev/null
    end

    begin "srdtool, the line"
    # shellcheck disable=SC2046 # words
    try_srdtool refused $(printf 'x %.0s' {1..100})
    try_srdtool refused ''
    try_srdtool refused s
    try_srdtool refused --no-such-option stat
    try_srdtool refused -z stat
    try_srdtool refused --force stat
    try_srdtool refused --dead --file "$TMPDIR/segment" stat
    try_srdtool refused --pid 999999999 stat
    for words in 'echo -P 0 x' 'echo -P 65536 x' 'echo -P x x' 'echo -t 0 x' \
            'echo -t 3601 x' 'echo' 'echo a b' 'echo -z' 'echo -s a b' \
            'echo -t 1 -P 1 127.0.0.1' 'echo -i nodevice 127.0.0.1' \
            'echo -s -1 -a 300.1.1.1' 'echo -t 1 no..host' '-z' 'a b'; do
        # shellcheck disable=SC2086 # words
        try_srdtool refused doctor $words
    done
    for words in '-t 0' '-t 3601' '-t x' '-t' '-z' 'a b' nodevice; do
        # shellcheck disable=SC2086 # words
        try_srdtool refused selftest $words
    done
    end
}

# ---- the environment -----------------------------------------------------------

test_environment()
{
    # try_in EXPECTED NAME COMMAND: a line of shell before the transport is tried
    try_in()
    {
        local expected=$1 name=$2 line=$3

        tried "${inside[@]}" bash -c "$line"' && exec "$@"' bash "$EFARUN" --soft \
            --quiet -- "$TRY"
        ! grep -q -a 'ucs_async_thread_global_context' "$out" ||
            return 0    # UCX's own thread has no descriptor or stack: it aborts
        value "$line" "$name" "$expected" .
    }

    inside=()
    begin "directories and variables"
    for dir in '' /nonexistent /dev/null /proc relative /dev/shm/ "$long" \
            "$TMPDIR/fifo"; do
        try_in works x "export XDG_RUNTIME_DIR='$dir'"
        try_in works x "export TMPDIR='$dir'"
        try_in works x "export HOME='$dir'"
    done
    try_in works x 'unset XDG_RUNTIME_DIR HOME TMPDIR PATH LANG'
    try_in works x 'cd / && export XDG_RUNTIME_DIR=.'
    end

    begin "limits of the process"
    for files in 5 6 7 8 9 10 11 12 13 16 20; do
        try_in any 'open files|ulimit -n' "ulimit -n $files"
    done
    try_in works x 'ulimit -n 64'
    try_in works x 'ulimit -l 0'
    try_in works x 'ulimit -c 0'
    for blocks in 0 1 100 10000; do
        try_in refused 'ulimit -f' "ulimit -f $blocks"
    done
    if [ "$VARIANT" = plain ]; then
        for kib in 100000 1000000 4000000; do
            try_in refused 'ulimit -v|memory' "ulimit -v $kib"
        done
    fi
    try_in any 'process|thread|rocess|hread' 'ulimit -u 1'
    end

    if unshare -m true 2> /dev/null &&
           unshare -m mount -t tmpfs none /mnt 2> /dev/null; then
        shm=/dev/shm/softefa.$(id -u).$SOFTEFA_FABRIC
        mount='mount -t tmpfs'
        inside=(unshare -m)
        begin "/dev/shm and others"
        try_in refused /dev/shm "$mount -o ro none /dev/shm"
        for size in 4k 64k 512k 1m; do
            try_in refused /dev/shm "$mount -o size=$size none /dev/shm"
        done
        try_in refused /dev/shm "$mount -o nr_inodes=6 none /dev/shm"
        try_in refused /dev/shm "mount --bind /proc /dev/shm"
        try_in refused "$shm" "$mount none /dev/shm && touch $shm"
        try_in refused "$shm" "$mount none /dev/shm && ln -s /nonexistent $shm"
        try_in refused "$shm" "$mount none /dev/shm && mkdir -m 777 $shm"
        try_in refused "$shm" \
            "$mount none /dev/shm && mkdir -m 700 $shm && mkdir $shm/mem"
        try_in works x "$mount none /dev/shm && mkdir -m 700 $shm &&
            head -c 100000 /dev/urandom > $shm/mem"
        for options in ro size=4k nr_inodes=1; do
            try_in works x \
                "$mount -o $options none /mnt && export XDG_RUNTIME_DIR=/mnt"
        done
        try_in refused /proc "$mount none /proc"
        end

        # In a copy of the libraries' directory that lacks one
        libs=$(ldconfig -p | sed -n 's/.* => \(.*\)\/libibverbs\.so\.1$/\1/p' |
            head -n 1)
        copy="$mount none /mnt && mkdir /mnt/upper /mnt/work && mount -t overlay \
            -o lowerdir=$libs,upperdir=/mnt/upper,workdir=/mnt/work none $libs"
        if unshare -m sh -c "$copy" 2> /dev/null; then
            begin "rdma-core that is not there"
            for library in libibverbs libefa; do
                try_in refused "$library.*\(Debian: ibverbs-providers, RPM:" \
                    "$copy && rm $libs/$library.so.1*"
            done
            end
        else
            skip "rdma-core that is not there" "no file system overlay here"
        fi
    else
        skip "/dev/shm and others" "no mount namespace: needs root, and no chroot"
    fi
}

# ---- all at once: most of the time is waiting ---------------------------------

all=$TMPDIR
"$EFARUN" --help > "$all/help"
fabric=$SOFTEFA_FABRIC
sections=(transport device starter tool environment)
for section in "${sections[@]}"; do
    (
        TMPDIR=$all/$section
        SOFTEFA_FABRIC=${fabric:0:24}-${section:0:3}
        XDG_RUNTIME_DIR=$TMPDIR
        out=$TMPDIR/out
        mkdir "$TMPDIR"
        "test_$section"
        touch "$all/$section.done"
    ) > "$all/$section.results" 2>&1 &
done
wait
for section in "${sections[@]}"; do
    [ -e "$all/$section.done" ] ||
        not_ok "$section" "ended before it was finished"
    add_results "$all/$section.results"
done
finish
