#!/usr/bin/env bash
# The commands of docs/running.md and of README's section "Run", as they are written
# there: each is run, or is in the table below with the reason why it cannot be here.
# One that is in no line of the table fails, and so does a line without a command.
#
#   documented.sh [--list] [FILE...]
#
#   --list   prints the commands, and what the table says of each
#   FILE     in place of those two documents
#
# A command is a line indented by four spaces, with the next one if it ends in \; what
# stands behind two spaces and # is no part of it. Placeholders are replaced
# (substitute). Settings in tables have the default that ucx_info prints. Every program has UCX_TLS=srd,self, so it ends with an error if the
# command does not bring srd to it. On Soft-EFA; a command without efarun has
# libsoftefa.so preloaded, as if the machine had a device.
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=test/apps/counters.sh
. "$(dirname "$0")/counters.sh"

# How | command, a pattern of bash | why not, or what is needed and its package
#
#   srd      ends with 0, and messages are counted on srd
#   runs     ends with 0
#   reads    ends with 0 while two programs run that send messages; N is one of them
#   says     prints what the third column says, whatever it ends with
#   server   begins, and the next command is its client
#   config   no command: a line of a file of that name in ~/.openmpi
#   not      cannot be run here
# shellcheck disable=SC2016 # a command of a document
table='
not    | efarun [[]OPTIONS*                         | the synopsis
srd    | LD_PRELOAD=libucx_efa_loader.so ./app      |
not    | UCX_PLUGIN_PATH=*                          | UCX 1.22 on an EFA device; of the wheels of UCX the suite wheel has 1.22
srd    | efarun mpirun -np 2 ./app                  | mpirun.openmpi openmpi-bin
srd    | mpirun -np 2 efarun ./app                  | mpirun.openmpi openmpi-bin
srd    | efarun gdb --args ./app                    | gdb gdb
srd    | efarun valgrind ./app                      | valgrind valgrind
srd    | UCX_TLS=srd,self efarun ./app              |
reads  | srdtool stat show sum                      |
reads  | srdtool stat                               |
srd    | UCX_EFA_STATS=keep efarun ./app            |
runs   | srdtool --file /dev/shm/ucx-efa.PID.0 stat |
srd    | mpirun --mca pml ucx *efarun ./app         | mpirun.openmpi openmpi-bin
config | pml = ucx                                  | mca-params.conf
config | opal_common_ucx_tls = any                  | mca-params.conf
runs   | mpirun.mpich -np 2 efarun ./app            | mpirun.mpich mpich
srd    | MPIR_CVAR_NOLOCAL=1 *mpirun.mpich *        | mpirun.mpich mpich
srd    | oshrun --mca spml ucx *efarun ./app        | oshrun openmpi-bin
srd    | mpirun --mca pml ucx *efarun python app.py | mpirun.openmpi openmpi-bin
not    | MPICC=mpicc.mpich pip install *            | the suite mpi4py
runs   | mpirun.mpich -np 2 efarun python app.py    | mpirun.mpich mpich
not    | git clone *                                | the network; contrib/matrix.sh --ucx-git
not    | git -C ucx-* checkout *                    | the clone before it
not    | contrib/wheel.sh --out . *                 | takes minutes: the suite wheel
not    | pip install ucx_efa-*                      | the suites wheel and python
srd    | efarun python app.py                       |
srd    | UCX_TLS=* efarun python app.py             |
not    | pip install distributed-ucxx-*             | the suite python
not    | cat $(python -c *libucx*VERSION.txt        | the suite python has what that names
not    | *efarun java -cp jucx-*                    | the suite java
not    | sed -i *pom.xml                            | contrib/spark-ucx.sh does it
not    | mvn -DskipTests *                          | contrib/spark-ucx.sh does it
not    | spark.*                                    | settings, which contrib/spark-ucx.sh has
not    | *efarun spark-submit *                     | a cluster of Spark
not    | *efarun sbin/start-slave.sh *              | a cluster of Spark
srd    | UCX_RNDV_THRESH=64k mpirun ... efarun ./app | mpirun.openmpi openmpi-bin
srd    | UCX_NET_DEVICES=*efarun ./app              |
says   | srdtool doctor                             | ^ok    ucx
reads  | srdtool top                                |
reads  | srdtool res show ep pid N                  |
reads  | srdtool event show pid N                   |
server | srdtool doctor echo --server               |
runs   | srdtool doctor echo HOST                   |
server | efarun ucx_perftest -t tag_lat             | ucx_perftest ucx-utils
runs   | efarun --soft ibv_devinfo                  | ibv_devinfo ibverbs-utils
'

work=$TMPDIR/work
mkdir -p "$work/bin" "$work/home/.openmpi"
lines=()
seen=()
what=
pattern=
note=
live=()
port=0
server=

# commands FILE [HEADING]: its commands, of that section
commands()
{
    awk -v section="${2:-}" '
        BEGIN { inside = (section == "") }
        /^## / && section != "" { inside = ($0 == "## " section) }
        !inside { next }
        more != "" || /^    [^ ]/ {
            sub(/^ +/, "")
            sub(/  +#.*$/, "")
            line = more $0
            more = ""
            if (sub(/ *\\$/, " ", line)) more = line
            else print line
        }' "$1"
}

# look_up COMMAND: sets what, pattern and note of its line in the table
look_up()
{
    local number

    for number in "${!lines[@]}"; do
        IFS='|' read -r what pattern note <<< "${lines[$number]}"
        read -r what <<< "$what"
        read -r pattern <<< "$pattern"
        read -r note <<< "$note"
        # shellcheck disable=SC2053 # a pattern
        if [[ $1 == $pattern ]]; then
            seen[number]=y
            return
        fi
    done
    what='' pattern='' note=''
    return 1
}

# substitute COMMAND: sets command. What a document leaves to its reader, and what asks
# or runs without end
substitute()
{
    local kept=("$XDG_RUNTIME_DIR"/ucx-efa.*.0)

    command=$1
    command=${command//\/dev\/shm\/ucx-efa.PID.0/${kept[0]}}
    command=${command/% pid N/ pid ${live[0]:-0}}
    command=${command/% HOST/ -P $port 127.0.0.1}
    command=${command/% --server/ --server --once -P $port}
    command=${command/%-t tag_lat/-f -n 1000 -p $port -t tag_lat}
    command=${command/mpirun .../mpirun --mca pml ucx --mca opal_common_ucx_tls any}
    command=${command/gdb --args/gdb -batch -ex run -ex \'quit \$_exitcode\' --args}
    command=${command/%srdtool top/srdtool top --count 1}
    command=${command/mlx5_0:1,rdmap0s6:1/mlx5_0:1,efa_0:1}
    command=${command/libucx_efa_loader.so/libucx_efa_loader.so:libsoftefa.so}
}

# app COMMAND: ./app is a program for this launcher
app()
{
    local program=option_try

    case $1 in
    *mpich*)    program=mpi_order.mpich ;;
    *osc*)      program=mpi_rma.openmpi ;;
    *mpirun*)   program=mpi_order.openmpi ;;
    *oshrun*)   program=shmem_sync.oshmem ;;
    esac
    ln -sf "$APPS/$program" "$work/app"
    [ -x "$work/app" ]
}

# surroundings COMMAND: the environment that it gets
surroundings()
{
    local libraries=$BUILD/src/uct/ib/efa/loader/.libs:$BUILD/src/softefa/.libs

    environment=("PATH=$work/bin:$PATH" "HOME=$work/home" "UCX_TLS=srd,self"
                 "LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
                 # two ranks, by whoever, on any number of processors; all on UCX
                 "OMPI_MCA_orte_default_hostfile=$work/hosts"
                 OMPI_MCA_rmaps_base_oversubscribe=1
                 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_opal_signal=12
                 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
    case $1 in
    *efarun*|LD_PRELOAD=*) ;;
    *) environment+=("LD_PRELOAD=$BUILD/src/softefa/.libs/libsoftefa.so") ;;
    esac
    # The MPI within OpenSHMEM has no pml ucx here
    case $1 in
    oshrun*) ;;
    *) environment+=(OMPI_MCA_btl=self) ;;
    esac
    # Others remove what their runs have kept
    [ "$what" != reads ] || environment+=("XDG_RUNTIME_DIR=$work/live")
    # What the document sets for every run is for commands that do not say it
    case $1 in
    *--mca*) environment+=("HOME=$work") ;;
    esac
}

# start_live: two programs that send messages to each other
start_live()
{
    local name

    [ ${#live[@]} = 0 ] || return 0
    mkdir -m 700 "$work/live"
    for name in "a" "b a"; do
        # shellcheck disable=SC2086 # two words
        env "${environment[@]}" "$EFARUN" --soft --quiet "$APPS/debug_case" \
            "$work/live" $name > "$work/live.log" 2>&1 &
        live+=($!)
    done
    until_true sent 2> /dev/null
}

# sent: whether these have
sent()
{
    [ "$(XDG_RUNTIME_DIR=$work/live counted tx_msgs)" -gt 0 ]
}

# try COMMAND: by what the table says
try()
{
    local name=$1 command environment=() status=0 messages

    case $what in
    not)
        echo "    $name: not run here: $note"
        return ;;
    config)
        ok "$name"
        return ;;
    says) ;;
    *)
        if [ -n "$note" ] && ! command -v "${note% *}" > /dev/null; then
            skip "$name" "no ${note% *} (Debian: ${note#* })"
            return
        fi ;;
    esac
    if ! app "$1"; then
        skip "$name" "$(readlink "$work/app") is not built"
        return
    fi
    surroundings "$1"
    [ "$what" != reads ] || start_live
    [ "$what" != server ] || port=$(free_port)
    # What a run has kept is for the command that reads it
    [ "$what" != srd ] || counters_reset
    substitute "$1"
    if [ "$what" = server ]; then
        (cd "$work" && exec env "${environment[@]}" bash -c "exec $command") \
            > "$TMPDIR/server" 2>&1 < "$pair_stdin" &
        server=$!
        if ! wait_port "$port" $server; then
            not_ok "$name" "$(tail -n 1 "$TMPDIR/server")"
            server=
            return
        fi
        # A server of UCX: the same with a host's name, as README says
        case $1 in
        *ucx_perftest*) command="$command 127.0.0.1" ;;
        *) ok "$name"; return ;;
        esac
    fi
    (cd "$work" && env "${environment[@]}" timeout -k 10 $hang_limit \
        bash -c "$command") > "$TMPDIR/out" 2>&1 < "$pair_stdin" || status=$?
    if [ -n "$server" ]; then
        [ $status = 0 ] || kill "$server"
        wait "$server" || status=$?
        server=
    fi
    messages=$(counted tx_msgs)
    if [ "$what" = says ]; then
        grep -qE "$note" "$TMPDIR/out" && status=0 || status=1
    fi
    if [ $status != 0 ]; then
        not_ok "$name" "status $status: $(grep . "$TMPDIR/out" | tail -n 3)"
    elif [ "$what" = srd ] && [ "$messages" = 0 ]; then
        not_ok "$name" "no message on srd"
    elif [ "$what" = reads ] && [ ! -s "$TMPDIR/out" ]; then
        not_ok "$name" "prints nothing"
    else
        ok "$name$([ "$what" != srd ] || echo " ($messages messages on srd)")"
    fi
}

# settings: in tables, a name and its default, seconds. UCX prints microseconds
# shellcheck disable=SC2016 # no command
settings()
{
    local name default is

    "$EFARUN" --soft --quiet ucx_info -caf > "$TMPDIR/ucx_info" 2> /dev/null
    while read -r name default; do
        is=$(sed -n "s/^$name=//p" "$TMPDIR/ucx_info" | head -n 1)
        if [ "$is" = "${default%s}000000.00us" ]; then
            ok "default of $name"
        else
            not_ok "default of $name" "is '$is', not $default"
        fi
    done < <(sed -n 's/^| `\(UCX_[A-Z_]*\)` | \([^ ]*\) .*/\1 \2/p' "$TOP/docs/running.md")
}

while IFS= read -r line; do
    [ -z "$line" ] || lines+=("$line")
done <<< "$table"

list=n
if [ "${1:-}" = --list ]; then
    list=y
    shift
fi
if [ $# -gt 0 ]; then
    for file in "$@"; do commands "$file"; done > "$TMPDIR/commands"
else
    { commands "$TOP/docs/running.md"; commands "$TOP/README.md" Run; } \
        > "$TMPDIR/commands"
fi

printf 'localhost slots=2\n' > "$work/hosts"
ln -s "$EFARUN" "$BUILD/src/tools/srdtool" "$work/bin"
for tool in mpirun python; do
    for program in $tool.openmpi $tool "${tool}3"; do
        if command -v "$program" > /dev/null; then
            ln -s "$(command -v "$program")" "$work/bin/$tool"
            break
        fi
    done
done
# What Python starts has srd, as what it loads has
cat > "$work/app.py" <<'PYTHON'
import os
os.execv("./app", ["./app"])
PYTHON

while IFS= read -r line; do
    if look_up "$line" && [ "$what" = config ]; then
        echo "$line" >> "$work/home/.openmpi/$note"
    fi
done < "$TMPDIR/commands"
while IFS= read -r line; do
    if ! look_up "$line"; then
        not_ok "$line" "is in no line of the table of ${0##*/}"
    elif [ $list = y ]; then
        printf '%-6s %s\n' "$what" "$line"
    else
        try "$line"
    fi
done < "$TMPDIR/commands"

if [ $# = 0 ] && [ $list = n ]; then
    settings
    for number in "${!lines[@]}"; do
        [ -n "${seen[$number]:-}" ] ||
            not_ok "the table" "no document has: ${lines[$number]}"
    done
fi
finish
