# shellcheck shell=bash
# Sourced by run.sh: ends a suite that hangs, and no other.
#
#   progress_watch PROCESS LIMIT LOG DIRECTORY
#
#             every three seconds, until the process is gone
#   what it has written --> as before?  no:  idle = 0
#                                       yes: idle += what these were worth
#   idle >= LIMIT: SIGTERM, status 1
#
# A suite that writes moves: a line to its log, or a file of its TMPDIR, which
# comes, goes, or gets another size (not another time: a program that polls for
# ever writes into its segment, too). On a machine with more to do than it has
# processors a second is worth less, as a suite gets less of it.

progress_every=3

# Hundredths of a second that the last seconds were worth
progress_worth()
{
    local load processors

    processors=$(nproc 2> /dev/null) || processors=1
    processors=$((100 * processors))
    # 1.25 is 125
    read -r load _ < /proc/loadavg || load=0
    load=$((10#${load/./}))
    load=$((load > processors ? load : processors))
    echo $((100 * progress_every * processors / load))
}

progress_tick()
{
    sleep $progress_every
}

# progress_made LOG DIRECTORY: another text when there was some
progress_made()
{
    # what goes while find looks is no error
    find "$@" -printf '%p %s\n' 2> /dev/null | sort | cksum
}

progress_watch()
{
    local process=$1 limit=$((100 * $2)) idle=0 seen='' now
    shift 2

    while kill -0 "$process" 2> /dev/null; do
        now=$(progress_made "$@")
        if [ "$now" != "$seen" ]; then
            seen=$now
            idle=0
        elif [ $idle -ge $limit ]; then
            trap '' TERM # from who sees the process end
            kill "$process" 2> /dev/null
            return 1
        else
            idle=$((idle + $(progress_worth)))
        fi
        progress_tick || return 0
    done
}
