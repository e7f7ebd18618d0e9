# shellcheck shell=bash
# Sourced by bench.sh: one measurement by one program, of a pair of processes.
# Each appends a line "NAME,BYTES,UNIT,VALUE" to the results, where NAME is
# SERIES_lat (us, half a round trip), SERIES_bw (MB/s) or SERIES_rate (Mmsg/s).
#
#   verbs TEST BYTES COUNT          perftest, SRD: send_lat, send_bw, send_rate,
#                                   read_lat, read_bw, write_bw
#   reader TEST BYTES COUNT         test/apps/verbs_msg.c: raw verbs that read
#                                   what they received: lat, bw
#   uct SERIES TEST BYTES COUNT     ucx_perftest, UCT: am_lat, am_bw, am_rate,
#                                   get_lat, get_bw, put_lat, put_bw; the layout
#                                   is what UCP takes for the size
#   ucp SERIES TEST BYTES COUNT     ucx_perftest, UCP: tag_lat, tag_bw, tag_rate,
#                                   get, put_lat
#   libfabric BYTES COUNT           fi_pingpong
#   job LAUNCHER PROGRAM, column... programs of test/apps over MPI and OpenSHMEM
#
# Set before: build, efarun, tmp, dev, cpus, scale, only.
#
# shellcheck disable=SC2034,SC2154 # these, and what pair.sh reads

# Columns. Latencies are medians over a run's messages: perftest's t_typical,
# ucx_perftest's 50 percentile (fi_pingpong knows the average only); bandwidths
# and rates are those of the whole run.
# shellcheck disable=SC2016 # awk programs
{
lat_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $5 } END { print v }'
bw_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $4 } END { print v }'
rate_parser='/^ *[0-9]+ +[0-9]+ +[0-9.]+/ { v = $5 } END { print v }'
ucx_lat='$1 ~ /^[0-9]+$/ && NF == 8 { v = $2 } END { print v }'
ucx_bw='$1 ~ /^[0-9]+$/ && NF == 8 { v = $6 } END { print v }'
ucx_rate='$1 ~ /^[0-9]+$/ && NF == 8 { v = $8 / 1e6 } END { print v }'
fi_lat='$1 ~ /^[0-9.]+[kmg]?$/ && NF >= 7 { v = $(NF - 1) } END { print v }'
}

# wanted NAME: by --only
wanted()
{
    # shellcheck disable=SC2254 # a pattern
    case $1 in $only) return 0 ;; esac
    return 1
}

# pair NAME BYTES UNIT PARSER COMMAND... -- SERVER-ARGS... -- CLIENT-ARGS...
# Starts COMMAND as server on one core and as client on another. PARSER is an awk
# program over the client's output. Before it: pair_over, what starts COMMAND.
pair_before_server=(taskset -c 0)
pair_before_client=(taskset -c $((cpus > 1 ? 1 : 0)))
pair_over=("$efarun" --soft --quiet)
pair()
{
    local name=$1 bytes=$2 unit=$3 parser=$4 value
    shift 4
    wanted "$name" || return 0

    if ! pair_run "$tmp" "${pair_over[@]}" "$@"; then
        echo "bench.sh: failed: $*: $pair_why" >&2
        tail -n 20 "$tmp/client" "$tmp/server" >&2
        exit 1
    fi
    value=$(awk "$parser" "$tmp/client")
    if [ -z "$value" ]; then
        echo "bench.sh: no figure in the output of: $*" >&2
        cat "$tmp/client" >&2
        exit 1
    fi
    echo "$name,$bytes,$unit,$value" >> "$tmp/results.csv"
}

verbs()
{
    local test=$1 bytes=$2 count=$3 name=verbs parser unit tool=$1

    case $test in
    read_*|write_*) name=verbs_${test%_*} ;;
    esac
    case $test in
    *_lat)  parser=$lat_parser unit=us ;;
    *_bw)   parser=$bw_parser unit=MB/s ;;
    *_rate) parser=$rate_parser unit=Mmsg/s tool=${test%_rate}_bw ;;
    esac
    pair "${name}_${test##*_}" "$bytes" $unit "$parser" "ib_$tool" -c SRD -x 0 \
         -d "$dev" -p @PORT@ -s "$bytes" -n "$count" -F -- -- 127.0.0.1
}

reader()
{
    local unit=us

    [ "$1" = lat ] || unit=MB/s
    # the last line is the figure
    # shellcheck disable=SC2016
    pair "reader_$1" "$2" $unit 'END { print $1 }' "$build/test/apps/verbs_msg" \
         "$dev" "$1" "$2" "$3" @PORT@ -- -- 127.0.0.1
}

# perftest_of TEST: sets parser, unit and what of ucx_perftest it is
perftest_of()
{
    test=$1
    case $test in
    *_rate) parser=$ucx_rate unit=Mmsg/s test=${test%_rate}_bw ;;
    *_bw)   parser=$ucx_bw unit=MB/s ;;
    *)      parser=$ucx_lat unit=us ;;
    esac
}

# uct_layout BYTES: as UCP would
uct_layout()
{
    if [ "$1" -le 128 ]; then
        echo short
    elif [ "$1" -le 2048 ]; then
        echo bcopy
    else
        echo zcopy
    fi
}

uct()
{
    local series=$1 what=$2 bytes=$3 count=$4 test parser unit layout window=()

    perftest_of "$what"
    layout=$(uct_layout "$bytes")
    case $test in
    get_lat) test="get" layout=bcopy window=(-O 1) ;;
    get_bw)  test="get" ;;
    esac
    pair "${series}_${what#am_}" "$bytes" "$unit" "$parser" "${perftest[@]}" \
         -t "$test" -D "$layout" -x srd -d "$dev:1" -s "$bytes" -n "$count" \
         -w $((count / 10)) -p @PORT@ -f ${window[@]+"${window[@]}"} \
         -- -- 127.0.0.1
}

ucp()
{
    local series=$1 what=$2 bytes=$3 count=$4 test parser unit window=()

    perftest_of "$what"
    case $test in
    get)     test=ucp_get what=get_lat window=(-O 1) ;;
    put_lat) test=ucp_put_lat ;;
    esac
    pair "${series}_${what#tag_}" "$bytes" "$unit" "$parser" "${perftest[@]}" \
         -t "$test" -s "$bytes" -n "$count" -w $((count / 10)) -p @PORT@ -f \
         ${window[@]+"${window[@]}"} -- -- 127.0.0.1
}

libfabric()
{
    pair libfabric_lat "$1" us "$fi_lat" fi_pingpong -p efa -e rdm -I "$2" \
         -S "$1" -- -B @PORT@ -- -P @PORT@ 127.0.0.1
}

# The same UCX over what it has for one host, without efarun: tcp, and shared
# memory, from one processor's cache to the other's
over()
{
    local -a pair_over=()
    local -x UCX_TLS=$1
    shift

    case $UCX_TLS in
    tcp*) local -x UCX_NET_DEVICES=lo ;;
    esac
    "$@"
}

# Programs of test/apps that print "SIZE FIGURE..." lines, if they are built
launch=(-np 2 --mca pml ucx --mca btl self --mca opal_common_ucx_tls any
        --mca opal_common_ucx_devices any
        --mca opal_common_ucx_opal_mem_hooks 0)
if [ "$cpus" -gt 1 ]; then
    launch+=(--bind-to core)
else
    launch+=(--oversubscribe)
fi
[ "$(id -u)" != 0 ] || launch+=(--allow-run-as-root)

# job LAUNCHER PROGRAM: leaves its output in $tmp/job; fails if it is not there
job()
{
    local program=$build/test/apps/$2

    if ! command -v "$1" > /dev/null || [ ! -x "$program" ]; then
        return 1
    fi
    timeout 900 "$1" "${launch[@]}" "$efarun" --soft --quiet "$program" \
        $((8000 / scale)) > "$tmp/job" 2>&1 < /dev/null || {
        echo "bench.sh: failed: $1 $2" >&2
        tail -n 20 "$tmp/job" >&2
        exit 1
    }
}

# column NAME BYTES UNIT NUMBER: of the line of that size in the last job
column()
{
    wanted "$1" || return 0
    awk -v name="$1" -v bytes="$2" -v unit="$3" -v n="$4" '
        $1 == bytes && $n ~ /^[0-9.]+$/ {
            printf "%s,%s,%s,%s\n", name, bytes, unit, $n
            exit
        }' "$tmp/job" >> "$tmp/results.csv"
}
