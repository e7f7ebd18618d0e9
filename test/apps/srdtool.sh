#!/usr/bin/env bash
# srdtool from outside: on segments that are written here (stats_write.c), on a
# real program, on a dead one, on bad ones; batch, options, usage, completion.
#
# Other programs of this user may run: what is not a file is asked for by --pid.
#
# Tests are called by name, and are chains that end at the first that fails.
# shellcheck disable=SC2015
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

need python3 python3
need ucx_perftest ucx-utils

SRDTOOL=$BUILD/src/tools/srdtool
WRITE=$APPS/stats_write
segments=$TMPDIR/segments
export XDG_RUNTIME_DIR=$segments UCX_EFA_STATS=y UCX_TLS=srd,self TZ=UTC
mkdir -p "$segments"
chmod 700 "$segments"
out=$TMPDIR/out
err=$TMPDIR/err
declare -a jobs=()

trap 'kill -9 "${jobs[@]}" 2> /dev/null; common_exit' EXIT

# run STATUS ARGUMENTS...: srdtool ends with that status, and with one reason if
# it is not 0; its output is in $out and $err
run()
{
    local want=$1 status=0
    shift

    limited "$SRDTOOL" "$@" > "$out" 2> "$err" < /dev/null || status=$?
    [ "$status" = "$want" ] || {
        why="srdtool $*: status $status, not $want: $(head -n 3 "$err")"
        return 1
    }
    [ "$status" = 0 ] || [ -s "$err" ] || {
        why="srdtool $*: status $status without a word"
        return 1
    }
}

# says PATTERN...: each is in a line of what was printed
says()
{
    local pattern

    for pattern in "$@"; do
        grep -q -E -e "$pattern" "$out" "$err" || {
            why="no '$pattern' in: $(head -n 5 "$out" "$err")"
            return 1
        }
    done
}

lines()
{
    [ "$(wc -l < "$out")" = "$1" ] || {
        why="$(wc -l < "$out") lines, not $1: $(head -n 5 "$out")"
        return 1
    }
}

# json PYTHON: an expression on the document d
json()
{
    python3 -m json.tool < "$out" > /dev/null 2>&1 &&
        python3 -c "import json,sys; d=json.load(sys.stdin); assert ($1)" \
            < "$out" 2> /dev/null || {
        why="not $1 in $(head -c 300 "$out")"
        return 1
    }
}

# test_that NAME FUNCTION
test_that()
{
    why=
    if "$2"; then
        ok "$1"
    else
        not_ok "$1" "$why"
    fi
}

in_time()
{
    until_true "$@" || { why="never: $*"; return 1; }
}

# ---- segments that are written here ------------------------------------------

dead=$TMPDIR/dead
"$WRITE" "$dead" <<- END
	header pid=7 command=app
	device name=efa_0 index=0 pd=1 pd_max=256 ah=3 ah_max=8 qp=1 qp_max=256
	iface name=efa_0:1 index=0 gid=1 qpn=12 tx_msgs=5 eps=6 create_time=@9000
	peer iface=0 qpn=41 gid=9 state=2 window=256 state_time=@8000
	peer iface=0 qpn=42 gid=9 state=2 backoff=1 wait_time=@3000 window=256
	peer iface=0 qpn=43 gid=9 state=1 pending=1 wait_time=@2000 window=256
	peer iface=0 qpn=44 gid=9 state=4 status=-80 state_time=@1000
	peer iface=0 qpn=45 gid=9 state=2 gap_time=@500 depth=3 window=8
	ep index=0 iface=0 peer=1 create_time=@9000 site=app(main+0x1f)
	ep index=1 iface=0 peer=2 pending=2 wait_time=@3000
	ep index=2 iface=0 peer=3 pending=1 wait_time=@2000
	ep index=3 iface=0 peer=4
	ep index=4 iface=0 peer=5
	ep index=5 iface=0 peer=777
	object kind=0 number=1 iface=0xffffffff create_time=@9000
	object kind=2 number=12 size=256 size2=512 create_time=@9000 site=main+4
	object kind=3 number=5 size=8192 size2=0x7f0000001000
	object kind=4 number=3 gid=9 size=2
	event event=0 a=0 b=1 qpn=41 gid=9 time=@100
	event event=4 a=1 qpn=41 gid=9 time=@90 repeats=12 last=20
	event event=2 a=10 qpn=42 gid=9 time=@80
	event event=10 a=4 b=12 iface=0xffff time=@0
END

endpoints()
{
    run 0 --file "$dead" res show ep && lines 6 &&
        says '^ep 0 .*why ready pending 0$' '^ep 1 .*why rnr-backoff 3\.0s' \
             '^ep 2 .*why waits-handshake 2\.0s' \
             '^ep 3 .*peer-unresponsive 1\.0s .*status endpoint-timeout' \
             '^ep 4 .*why reorder-gap' '^ep 5 pid 7 comm app gone .*why ready' &&
        run 0 --file "$dead" -d res show ep && says 'site app\(main\+0x1f\)' &&
        run 0 -j --file "$dead" res show peer &&
        json '[p["why"] for p in d] == ["ready", "rnr-backoff",
              "waits-handshake", "peer-unresponsive", "reorder-gap"] and
              d[1]["why_ns"] == 3000000000'
}
test_that "why each endpoint and peer waits" endpoints

filters()
{
    run 0 --file "$dead" res show ep why rnr-backoff,waits-handshake && lines 2 &&
        run 0 --file "$dead" res show ep qpn 40-42,44 && lines 3 &&
        run 0 --file "$dead" res show ep pid 0-6,7 state joined qpn 41 &&
        lines 1 && run 1 --file "$dead" res show ep pid 8 && lines 0 &&
        says 'nothing like that' &&
        run 0 --file "$dead" res show peer gid fe80::9 depth 3 && lines 1 &&
        run 2 --file "$dead" res show ep colour red &&
        says "'colour' is nothing to filter by: one of ep pid" &&
        run 2 --file "$dead" res show ep pid && says 'pid which' &&
        run 2 --file "$dead" res show ep pid 9-2 &&
        run 2 --file "$dead" res show ep qpn 5- &&
        run 2 --file "$dead" res show ep qpn 5,,6
}
test_that "filters" filters

objects()
{
    run 0 --file "$dead" res &&
        says 'qp 1/256 \(0\.4%\)' 'ah 3/8 \(37\.5%\) eps 6 peers 5' &&
        run 0 --file "$dead" res show qp && lines 1 &&
        says '^qpn 12 sq 256 rq 512 .*dev efa_0 link efa_0:1 age .*site main\+4' &&
        run 0 --file "$dead" res show pd && says '^pdn 1 .*dev efa_0' &&
        run 0 --file "$dead" res show mr &&
        says 'mrn 5 bytes 8192 address 0x7f0000001000' &&
        run 0 --file "$dead" res show ah && says 'ahn 3 gid fe80::9 refs 2' &&
        run 1 --file "$dead" res show cq &&
        run 0 --file "$dead" dev && says '^dev efa_0 processes 1 links 1' &&
        run 0 --file "$dead" link && says '^link efa_0:1 pid 7 comm app gone' &&
        run 0 -j --file "$dead" res &&
        json 'd[0]["ah"] == {"held": 3, "max": 8}'
}
test_that "what is held, of which limit" objects

events()
{
    run 0 --file "$dead" event && lines 4 &&
        says 'event peer-state link efa_0:1 .*what new -> joining$' \
             'event ctl-tx .*qpn 41 what hello repeats 12 last 20[-0-9]+ [0-9:.]+$' \
             'event peer-suspected .*what device status RNR' \
             'event refused what ah: Cannot allocate memory' &&
        run 0 -j --file "$dead" event show event refused,peer-suspected &&
        json '[e["seq"] for e in d] == [3, 4] and "gid" not in d[1] and
              "repeats" not in d[1] and
              abs(d[1]["time_epoch"] / 1e9 - __import__("time").time()) < 600'
}
test_that "the flight recorder" events

repeats()
{
    run 0 -j --file "$dead" event show event ctl-tx &&
        json 'd[0]["repeats"] == 12 and
              d[0]["last_epoch"] - d[0]["time_epoch"] == 20000000' &&
        run 0 --file "$dead" event show repeats 12 && lines 1
}
test_that "events that came again" repeats

counters()
{
    run 0 --file "$dead" stat && says '^    tx_msgs +5  messages sent' &&
        run 0 -d --file "$dead" stat show iface && lines 52 &&
        run 0 -j --file "$dead" stat show pid 7 &&
        json 'd["ifaces"][0]["counters"]["tx_msgs"] == 5 and
              len(d["peers"]) == 5 and
              d["devices"][0]["counters"]["ah"] == 3' &&
        run 0 -j --file "$dead" stat show peer qpn 45 &&
        json 'list(d) == ["peers"] and d["peers"][0]["counters"]["depth"] == 3'
}
test_that "counters" counters

# Of two processes
sum()
{
    "$WRITE" "$TMPDIR/sum" <<- END
	header pid=9 command=app
	device name=efa_0 index=0
	iface name=efa_0:1 index=0 gid=1 qpn=12 tx_msgs=2 tx_bytes=999
	iface name=efa_0:1 index=1 gid=1 qpn=13 rx_msgs=3 rx_bytes=1000 rdma_read_bytes=1234567 rdma_write_bytes=2000
	END
    run 0 --file "$TMPDIR/sum" stat show sum && lines 1 &&
        says '^srd carried 1\.2 MB: 2 messages of 999 B sent, 3 of 1\.0 kB received, 1\.2 MB read and 2\.0 kB written by RDMA; 1 process, 2 interfaces$' &&
        run 0 -j --file "$TMPDIR/sum" stat show sum &&
        json 'd["sum"]["carried_bytes"] == 999 + 1234567 + 2000 and
              d["sum"]["ifaces"] == 2 and d["sum"]["processes"] == 1' &&
        run 0 --file "$TMPDIR/sum" stat show sum qpn 12 &&
        says '^srd carried 999 B: .*; 1 process, 1 interface$' &&
        run 0 --file "$TMPDIR/sum" stat show sum link efa_0:1 dev efa_0 && lines 1 &&
        run 1 --file "$TMPDIR/sum" stat show sum qpn 14
}
test_that "the sum" sum

top()
{
    run 0 --file "$dead" top -n 2 -i 0.05 &&
        says '1 processes, 1 links, 6 endpoints, 4 do not move' || return 1
    [ "$(grep -c rnr-backoff "$out")" = 2 ] &&
        [ "$(awk 'length > 80' "$out")" = "" ] &&
        ! grep -q "$(printf '\033')" "$out" &&
        awk '/WHY/ { getline; if (!/rnr-backoff/) bad = 1 } END { exit bad }' \
            "$out" || { why=$(cat "$out"); return 1; }
    run 0 -j --file "$dead" top -n 1 && json 'd[0]["why"] == "rnr-backoff" and
                                              d[5]["why"] == "ready"'
}
test_that "top as text: 80 columns, what waits longest first" top

# ---- owners that live ---------------------------------------------------------

# live WORD: an owner, pid in $owner
live()
{
    coproc OWNER { exec "$WRITE" "$segments/ucx-efa.$1.0"; }
    owner=$OWNER_PID
    jobs+=("$owner")
    local start
    start=$(sed 's/.*) //' "/proc/$owner/stat" | cut -d' ' -f20)
    {
        echo "header pid=$owner command=owner start_time=$start"
        echo "iface name=efa_0:1 index=0 asleep=$3 progress_time=@4000"
        echo "peer iface=0 qpn=41 state=2 window=256 backoff=1 wait_time=@1000"
        echo "ep index=0 iface=0 peer=1"
        echo "$2"
    } >&"${OWNER[1]}"
    eval "exec ${OWNER[1]}>&-"
    read -r _ <&"${OWNER[0]}"
}

gone()
{
    kill -9 "$owner" && wait "$owner" 2> /dev/null
    rm -f "$segments"/ucx-efa.*
}

progress()
{
    local age='[0-9.]+m?[0-9]*s'

    live 5001 live 0
    run 0 --pid 5001 res show ep && says "why no-progress-calls $age" &&
        run 0 --pid 5001 link && says "why no-progress-calls $age" &&
        kill -STOP "$owner" && run 0 --pid 5001 res show ep &&
        says 'owner stopped' && gone || return 1
    live 5002 live 1
    run 0 --pid 5002 res show ep && says "why rnr-backoff $age" &&
        run 0 --pid 5002 link && says 'why ready asleep' && gone || return 1
    live 5003 progress 0
    in_time run 0 --pid 5003 res show ep why rnr-backoff && gone
}
test_that "who does not call progress" progress

post_mortem()
{
    live 5004 live 1
    run 0 --pid 5004 res show ep && run 1 --pid 5004 --dead res show ep &&
        says 'leave --dead out' && kill -9 "$owner" || return 1
    wait "$owner" 2> /dev/null
    run 1 --pid 5004 res show ep &&
        says 'processes that are gone: see them with --dead' &&
        run 0 --pid 5004 --dead res show ep && says 'owner gone' &&
        run 0 --dead link && run 1 --pid 5005 --dead res &&
        rm -f "$segments"/ucx-efa.*
}
test_that "a process that was killed" post_mortem

# ---- a real program -------------------------------------------------------------

real()
{
    local port server client

    perftest_find
    port=$(free_port)
    "$EFARUN" --soft --quiet -- "${perftest[@]}" -p "$port" \
        > "$TMPDIR/server.out" 2>&1 < "$pair_stdin" &
    server=$!
    jobs+=("$server")
    wait_port "$port" "$server" || { why="the server ended"; return 1; }
    "$EFARUN" --soft --quiet -- "${perftest[@]}" -p "$port" -t tag_bw -s 100 \
        -n 300000000 127.0.0.1 > "$TMPDIR/client.out" 2>&1 < "$pair_stdin" &
    client=$!
    jobs+=("$client")
    in_time run 0 --pid "$client" res show peer state joined || return 1

    # the device's own counters, seen in its fabric; others' are in theirs
    limited "$EFARUN" --soft --quiet -- "$SRDTOOL" --pid "$server" -j \
        stat show nic counter recv_wrs > "$out" 2> "$err"
    json 'd[0]["dev"] == "efa_0" and d[0]["nic"] > 0 and d[0]["ours"] > 0 and
          d[0]["flag"] != "ours-more"' || return 1

    # two that poll are in the way of all that follows
    kill -STOP "$client" "$server"

    run 0 link show pid "$server,$client" && lines 2 &&
        says "pid $server " "pid $client " &&
        run 0 -j --pid "$client" stat show iface &&
        json 'd["ifaces"][0]["counters"]["tx_msgs"] > 0 and
              d["ifaces"][0]["comm"] == "ucx_perftest"' &&
        run 0 top -n 1 && says 'TX/s' || return 1
    for words in dev link res "res show qp" "res show ep" event; do
        # shellcheck disable=SC2086 # words
        limited "$SRDTOOL" --pid "$client" -j $words > "$out" 2> "$err"
        json 'type(d) == list' || return 1
    done

    kill -9 "$client"
    wait "$client" 2> /dev/null
    run 0 --pid "$client" --dead -j stat show iface &&
        json 'd["ifaces"][0]["counters"]["tx_msgs"] > 0 and
              d["ifaces"][0]["gone"]' || return 1
    kill -9 "$server"
    wait "$server" 2> /dev/null
    rm -f "$segments"/ucx-efa.*
}
test_that "a real program, alive and killed" real

# ---- what goes on ---------------------------------------------------------------

# watch NAME ARGUMENTS...: srdtool in the background, pid in $watcher, what it
# prints in $TMPDIR/NAME. As from a terminal: a background job ignores SIGINT.
watch()
{
    local name=$1
    shift

    env --default-signal=INT,PIPE "$SRDTOOL" "$@" > "$TMPDIR/$name" 2> "$err" \
        < /dev/null &
    watcher=$!
    jobs+=("$watcher")
}

# case_start NAME PEER...: debug_case (docs/debugging.md), pid in $program
case_start()
{
    "$EFARUN" --soft --quiet -- "$APPS/debug_case" -n 1 "$TMPDIR" "$@" \
        > "$TMPDIR/$1.out" 2>&1 < /dev/null &
    program=$!
    jobs+=("$program")
}

# greeted FILE PATTERN: that is in it; else one more sender greets the receiver
greeted()
{
    local end=$((SECONDS + 2))

    case_start sender receiver
    until grep -qs "$2" "$1" || [ "$SECONDS" -ge "$end" ]; do
        sleep 0.05
    done
    kill -9 "$program" && wait "$program" 2> /dev/null
    grep -qs "$2" "$1"
}

# Before that it is this script, with its EXIT trap
looks()
{
    [ "$(cat "/proc/$watcher/comm")" = srdtool ]
}

ended()
{
    ! kill -0 "$watcher" 2> /dev/null
}

# ends STATUS: the watcher does, with that status and without a word
ends()
{
    local status=0

    in_time ended || return 1
    wait "$watcher" 2> /dev/null || status=$?
    [ "$status" = "$1" ] && [ ! -s "$err" ] || {
        why="status $status, not $1: $(cat "$err")"
        return 1
    }
}

monitor()
{
    local receiver fifo=$TMPDIR/fifo

    case_start receiver
    receiver=$program
    in_time [ -s "$TMPDIR/receiver" ] || return 1

    # what happens while it looks, of that process and kind alone, whole lines
    watch events --pid "$receiver" -i 0.05 event monitor event ctl-tx
    in_time greeted "$TMPDIR/events" 'what hello-ack' && kill -INT "$watcher" && ends 130 ||
        return 1
    cp "$TMPDIR/events" "$out"
    says "^time .* pid $receiver comm debug_case .*what hello-ack( repeats .*)?$" ||
        return 1
    if grep -v -E "^time .* pid $receiver .*event ctl-tx " "$out" ||
        [ "$(tail -c 1 "$out" | od -An -c | tr -d ' ')" != '\n' ]; then
        why="more than that: $(cat "$out")"
        return 1
    fi

    # --count, and a document a line; SIGTERM
    watch one --pid "$receiver" -j -i 0.05 -n 1 event monitor event ctl-tx
    in_time greeted "$TMPDIR/one" ctl-tx && ends 0 && cp "$TMPDIR/one" "$out" &&
        lines 1 && json 'd["event"] == "ctl-tx" and d["gid"]' &&
        watch none --pid "$receiver" event monitor event reset &&
        in_time looks && kill -TERM "$watcher" && ends 143 &&
        [ ! -s "$TMPDIR/none" ] ||
        return 1

    # nothing more happens, and its reader goes
    mkfifo "$fifo"
    watch fifo --pid "$receiver" event monitor event reset
    exec {reader}< "$fifo"
    exec {reader}<&-
    ends 0 || return 1

    kill -TERM "$receiver" && wait "$receiver"
    rm -f "$segments"/ucx-efa.*
}
test_that "event monitor" monitor

# without a terminal: blocks of text, until there is no reader
top_goes_on()
{
    local fifo=$TMPDIR/fifo-top line count=0

    mkfifo "$fifo"
    watch fifo-top --file "$dead" -i 0.05 top
    exec {reader}< "$fifo"
    while [ "$count" -lt 3 ] && read -r -t "$hang_limit" line <&"$reader"; do
        [[ $line != "srdtool top "* ]] || count=$((count + 1))
        [[ $line != *$'\033'* ]] || { why="an escape: $line"; return 1; }
    done
    exec {reader}<&-
    [ "$count" = 3 ] || { why="$count blocks"; return 1; }
    # at its next block by SIGPIPE, or before, when it sees that nobody reads
    in_time ended || return 1
    [ ! -s "$err" ] || { why=$(cat "$err"); return 1; }

    watch blocks --file "$dead" -i 0.05 top
    in_time [ -s "$TMPDIR/blocks" ] && kill -INT "$watcher" && ends 130 &&
        tail -n 1 "$TMPDIR/blocks" | grep -q '^$' || return 1
}
test_that "top without a terminal goes on and ends" top_goes_on

nothing()
{
    run 1 --pid $$ res && says 'does not run on the srd.*UCX_EFA_STATS=n' &&
        run 1 --pid $$ -j res && json 'd == []' || return 1

    # a program that ends leaves its segment only if it is asked to
    UCX_EFA_STATS=keep limited "$EFARUN" --soft --quiet -- ucx_info -d \
        > /dev/null 2>&1
    ls "$segments"/ucx-efa.* > /dev/null 2>&1 ||
        { why="keep left nothing"; return 1; }
    rm -f "$segments"/ucx-efa.*
    # shellcheck disable=SC2016 # not this shell's
    UCX_EFA_STATS=n limited "$EFARUN" --soft --quiet -- bash -c '
        ucx_info -d > /dev/null 2>&1; ls "$XDG_RUNTIME_DIR"' > "$out"
    [ ! -s "$out" ] || { why="n left $(cat "$out")"; return 1; }
}
test_that "nothing there" nothing

# ---- the command line ------------------------------------------------------------

words()
{
    run 0 --file "$dead" r s e why ready && lines 2 &&
        run 0 r --file "$dead" sh -j pe && json 'len(d) == 5' &&
        run 0 res show -jp --file="$dead" ep && json 'len(d) == 6' &&
        run 2 s && says "'s' may be stat selftest" &&
        run 2 --file "$dead" res show p && says "'p' may be|'p' is|pd peer" &&
        run 2 res hide && says "unknown command 'hide'" '^usage: srdtool res' &&
        run 2 rest && says "unknown object 'rest'" &&
        run 2 --colour && says "unknown option '--colour'" &&
        run 2 --file && says 'needs a value' && run 2 --pid 0 res &&
        run 2 --pid 5x res && run 2 -n 0 top && run 2 -i never top &&
        run 2 --file x --pid 5 res && run 2 && says '^usage: srdtool \[OPT' &&
        run 2 -f res && run 2 -b x res && run 0 -V && says 'stats segment format 3' &&
        run 0 -h && says '^usage' && run 0 res help && says '^usage: srdtool res' &&
        run 0 --help event && says '^usage: srdtool event'
}
test_that "shortened names, options anywhere, wrong usage" words

batch()
{
    printf '%s\n' '# a comment' '' "--file $dead res show ep ep 0" \
        "res nonsense" "-j --file $dead link # and more" > "$TMPDIR/batch"
    run 2 -b "$TMPDIR/batch" && lines 1 && says 'batch:4: the command failed' &&
        run 2 -f -b "$TMPDIR/batch" && lines 2 &&
        run 1 -b "$TMPDIR/absent" && says 'No such file' || return 1
    echo "-b $TMPDIR/batch" > "$TMPDIR/again"
    run 2 -b "$TMPDIR/again" && says 'a batch within a batch' || return 1
    [ "$(echo "--file $dead link" | "$SRDTOOL" -b - | wc -l)" = 1 ]
}
test_that "batch" batch

# ---- bad segments -------------------------------------------------------------------

# one_error PATTERN ARGUMENTS...: status 1, nothing shown, one line that says it
one_error()
{
    local pattern=$1
    shift

    run 1 "$@" && says "$pattern" && lines 0 || return 1
    [ "$(wc -l < "$err")" = 1 ] || { why=$(cat "$err"); return 1; }
}

bad()
{
    local bad=$TMPDIR/bad

    one_error 'No such file' --file "$TMPDIR/absent" link || return 1
    one_error 'not a regular file' --file "$TMPDIR" link || return 1
    echo 'cut 100' | "$WRITE" "$bad"
    one_error 'too short' --file "$bad" res show ep || return 1
    printf 'iface\ncut 256\n' | "$WRITE" "$bad"
    one_error 'damaged' --file "$bad" stat || return 1
    echo 'header version=65535' | "$WRITE" "$bad"
    one_error 'another version' --file "$bad" event || return 1
    echo 'header magic=3' | "$WRITE" "$bad"
    one_error 'not a stats segment' --file "$bad" top -n 1 || return 1
    printf 'header used=1024\niface length=64\n' | "$WRITE" "$bad"
    one_error 'damaged' --file "$bad" dev || return 1
    printf 'iface length=63\n' | "$WRITE" "$bad"
    one_error 'damaged' --file "$bad" dev || return 1
    mkfifo "$segments/ucx-efa.9.9"
    one_error 'not a regular file' --pid 9 res || return 1
    rm -f "$segments/ucx-efa.9.9"
    ln -s "$dead" "$segments/ucx-efa.9.9"
    one_error 'a link' --pid 9 link || return 1
    rm -f "$segments/ucx-efa.9.9"

    # what a terminal would obey
    printf 'header command=\033]2;x\007\niface name=\033[2J\n' | "$WRITE" "$bad"
    run 0 --file "$bad" link && says 'link \?\[2J .*comm \?\]2;x\?' || return 1
}
test_that "bad segments: one clear error" bad

# Others of this user are in the way of none: one that another version wrote is
# said, one that is just being made is not
others()
{
    echo 'header version=65535' | "$WRITE" "$segments/ucx-efa.1111.0"
    : > "$segments/ucx-efa.1112.0"
    head -c 8192 /dev/zero > "$segments/ucx-efa.1113.0"
    cp "$dead" "$segments/ucx-efa.7.0"
    run 0 --dead res show ep pid 7 && lines 6 &&
        says 'ucx-efa.1111.0: written by another version' || return 1
    if grep -E 'ucx-efa.111[23]' "$err"; then
        why="a segment that is being made: $(cat "$err")"
        return 1
    fi
    one_error 'another version' --dead --pid 1111 res || return 1
    run 1 --dead --pid 1112 res && says 'no segment of a process that is gone' &&
        rm -f "$segments"/ucx-efa.*
}
test_that "segments of others that cannot be read" others

foreign()
{
    cp "$dead" "$segments/ucx-efa.77.0"
    chown 1 "$segments/ucx-efa.77.0"
    one_error 'belongs to uid 1: run srdtool as that user' --pid 77 res &&
        rm -f "$segments/ucx-efa.77.0"
}
if [ "$(id -u)" = 0 ]; then
    test_that "another user's segment" foreign
fi

many()
{
    {
        echo "iface name=efa_0:1"
        awk 'BEGIN { for (i = 1; i <= 3000; ++i)
                     printf "peer qpn=%d state=2\nep index=%d peer=%d\n", i, i, i }'
    } | "$WRITE" "$TMPDIR/many"
    run 0 --file "$TMPDIR/many" res show ep && lines 3000 &&
        says '^ep 2777 .* qpn 2777 ' &&
        run 0 -j --file "$TMPDIR/many" res show peer &&
        json 'len(d) == 3000' && run 0 --file "$TMPDIR/many" top -n 1
}
test_that "thousands of peers" many

# ---- no room, no terminal ------------------------------------------------------------

full()
{
    "$SRDTOOL" --file "$dead" link > /dev/full 2> "$err" && return 1
    : > "$out"
    says 'cannot write'
}
test_that "output that cannot be written" full

# ---- completion ----------------------------------------------------------------------

# completes LINE WORD...: what bash offers behind LINE has these words
completes()
{
    local line=$1 word offered
    shift

    offered=$(PATH=$BUILD/src/tools:$PATH bash --norc -c '
        . "$1"; line=$2
        read -r -a COMP_WORDS <<< "$line"
        case $line in *" ") COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _srdtool; echo "${COMPREPLY[*]}"' - \
        "$TOP/src/tools/bash-completion/srdtool" "$line")
    for word in "$@"; do
        case $word:" $offered " in
        -:"  ") ;;
        *:*" $word "*) ;;
        *) why="'$line' offers '$offered', not '$word'"; return 1 ;;
        esac
    done
}

completion()
{
    cp "$dead" "$segments/ucx-efa.4242.0"
    completes 'srdtool ' dev link res stat event top doctor selftest &&
        completes 'srdtool r' res && completes 'srdtool -j res show ' ep peer qp &&
        completes 'srdtool res show ep ' why qpn zcopy &&
        completes 'srdtool res show ep why ' rnr-backoff no-progress-calls &&
        completes 'srdtool res show ep qpn 5 w' why window &&
        completes 'srdtool res show ep qpn ' - &&
        completes 'srdtool --pid 5 stat show iface li' link &&
        completes 'srdtool top wh' why && completes 'srdtool event m' monitor &&
        completes 'srdtool link show st' state &&
        completes 'srdtool --pid ' 4242 && completes 'srdtool --d' --dead --details &&
        rm -f "$segments/ucx-efa.4242.0"
}
test_that "bash completion" completion

finish
