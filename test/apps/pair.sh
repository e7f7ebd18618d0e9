# shellcheck shell=bash
# Sourced by scripts here and in contrib/ that start the two processes of a
# benchmark which meet by TCP, however the distribution built it: ucx_perftest,
# perftest, fi_pingpong.
#
#   perftest_find
#   pair_run "$TMPDIR" efarun "${perftest[@]}" -p @PORT@ ... -- -- 127.0.0.1 ||
#       echo "$pair_why"
#
# A ucx_perftest that was built with MPI (Debian 13) takes a process for an MPI
# job of one, unless a terminal is its standard input, and ends: "exactly 2
# processes". It is told so by -P 0, an option that it has with MPI only; and
# gets a terminal, so that it does not start MPI at all, whose own use of UCX
# would be counted with the program's.

# The side of a new terminal that an emulator has is one to isatty(3), and
# nobody's controlling terminal
pair_stdin=/dev/null
if (: < /dev/ptmx) 2> /dev/null; then
    pair_stdin=/dev/ptmx
fi

# perftest_find: sets perftest, the program with the options that it needs;
# pair_perftest, if it is set. Its input is to be pair_stdin.
perftest_find()
{
    local help

    perftest=("${pair_perftest:-ucx_perftest}")
    help=$("${perftest[0]}" -h 2>&1 < "$pair_stdin") || true
    case $help in
    *"MPI mode"*) perftest+=(-P 0) ;;
    esac
}

# free_port: a TCP port of the loopback interface that nobody uses now
free_port()
{
    local port hex

    while :; do
        # below those that the kernel gives out
        port=$((20000 + (RANDOM % 12000)))
        hex=$(printf ':%04X ' $port)
        grep -qs "$hex" /proc/net/tcp /proc/net/tcp6 || break
    done
    echo $port
}

# wait_port PORT PROCESS: until somebody listens there; fails if the process
# ends first
wait_port()
{
    local listen

    # local address, remote address, state 0A: listening
    listen=$(printf ':%04X [0-9A-F]*:0000 0A ' "$1")
    until grep -qs "$listen" /proc/net/tcp /proc/net/tcp6; do
        # gone, or a zombie that nobody waited for
        case $(sed 's/.*) //' "/proc/$2/stat" 2> /dev/null) in
        ''|Z*) return 1 ;;
        esac
        sleep 0.05
    done
}

# Words in front of the command of one side
pair_before_server=()
pair_before_client=()

# What runs, for the trap of who sources this
pair_server=

# pair_end: the server, if it still runs
pair_end()
{
    if [ -n "$pair_server" ]; then
        kill "$pair_server" 2> /dev/null || true
        wait "$pair_server" 2> /dev/null || true
        pair_server=
    fi
}

# pair_once DIRECTORY PORT COMMAND... -- SERVER'S... -- CLIENT'S...
pair_once()
{
    local directory=$1 port=$2 to_server=() to_client status
    shift 2

    while [ "$1" != -- ]; do
        to_server+=("$1")
        shift
    done
    shift
    to_client=("${to_server[@]}")
    while [ "$1" != -- ]; do
        to_server+=("$1")
        shift
    done
    shift
    to_client+=("$@")

    pair_why=
    : > "$directory/client"
    ${pair_before_server[@]+"${pair_before_server[@]}"} \
        "${to_server[@]//@PORT@/$port}" \
        > "$directory/server" 2>&1 < "$pair_stdin" &
    pair_server=$!
    if wait_port "$port" $pair_server; then
        status=0
        ${pair_before_client[@]+"${pair_before_client[@]}"} \
            "${to_client[@]//@PORT@/$port}" \
            > "$directory/client" 2>&1 < "$pair_stdin" || status=$?
        if [ $status != 0 ]; then
            pair_why="client: status $status: $(tail -n 1 "$directory/client")"
            # it would wait for ever
            kill $pair_server 2> /dev/null || true
        fi
    else
        pair_why="the server ended before it listened"
    fi
    status=0
    wait $pair_server 2> /dev/null || status=$?
    pair_server=
    if [ -z "$pair_why" ] && [ $status != 0 ]; then
        pair_why="server: status $status"
    fi
    if [ -n "$pair_why" ]; then
        pair_why="$pair_why: $(tail -n 1 "$directory/server")"
        return 1
    fi
}

# pair_run DIRECTORY COMMAND... -- SERVER'S... -- CLIENT'S...: the command with
# the arguments of both, to their ends; @PORT@ in them is a port. Output is in
# DIRECTORY/server and DIRECTORY/client. Fails if one of them does, and pair_why
# says why.
pair_run()
{
    for _ in 1 2 3 4 5; do
        pair_once "$1" "$(free_port)" "${@:2}" && return
        # somebody else was faster to take the port
        grep -qiE 'bind|in use|listen to port' "$1/server" || return
    done
    return 1
}
