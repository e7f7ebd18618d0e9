# shellcheck shell=bash
# Sourced after common.sh by scripts that run a public suite by contrib/mpi-suite.sh
# or shmem-suite.sh.

# suite_results DIR: a line for each of its results (contrib/suite-common.sh); sets
# count. What fails over both is not srd's.
suite_results()
{
    local file label srd why messages tcp tcp_why

    count=0
    for file in "$1"/results/*; do
        [ -e "$file" ] || break
        IFS=$'\037' read -r label srd why messages _ tcp tcp_why < "$file"
        count=$((count + 1))
        if [ "$srd" = skipped ]; then
            skip "$label" "$why"
        elif [ "$srd" != passed ] && [ "$tcp" = passed ]; then
            not_ok "$label" "$why"
        elif [ "$srd" != passed ]; then
            skip "$label" "fails over tcp, too: ${tcp_why%$'\037'}"
        elif [ "$messages" = 0 ]; then
            not_ok "$label" "sent nothing over srd"
        else
            ok "$label"
        fi
    done
}
