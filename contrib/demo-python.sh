# shellcheck shell=bash
# Sourced by demo.sh: the rows of --python, with what the Python in PATH has.
# shellcheck disable=SC2154 # work, efarun, top

python=${PYTHON:-python3}

# python_has MODULE...: silent
python_has()
{
    local module

    for module in "$@"; do
        # not from the directory where demo.sh was called
        (cd / && "$python" -c "import $module") > /dev/null 2>&1 || return
    done
}

# python_tools: prints the directory of efarun and srdtool, if the wheel of ucx-efa
# is installed in that Python
python_tools()
{
    (cd / && "$python" -c \
        'import ucx_efa, os; print(os.path.dirname(ucx_efa.__file__) + "/bin")') \
        2> /dev/null
}

# python_packages MODULE PACKAGE...: have we that? Otherwise a row says so
python_packages()
{
    local module=$1
    shift

    command -v "$python" > /dev/null || {
        missing "$python"
        return 1
    }
    python_has "$module" && return
    missing "'$module' in $(command -v "$python"): pip install $*"
    return 1
}

# python_row BYTES RESULT SCRIPT ARGUMENTS...: a program of test/python. Sockets are
# where ucxx and Dask begin a connection, so UCX has tcp as well
python_row()
{
    local bytes=$1 result=$2 output=$work/python
    shift 2

    UCX_TLS=srd,self,tcp PYTHONWARNINGS=ignore UCX_WARN_UNUSED_ENV_VARS=n \
        "${efarun[@]}" "$python" "$top/test/python/$1" "${@:2}" \
        > "$output" 2>&1 < /dev/null || {
        cat "$output" >&2
        fail "$name failed"
    }
    if ! grep -q '^ok' "$output" || grep '^failed' "$output" >&2; then
        cat "$output" >&2
        fail "$name failed"
    fi
    # The loader says why there is no srd
    if grep '^ucx-efa: ' "$output" | sort -u >&2; then
        fail "this Python needs the wheel of ucx-efa:" \
            "contrib/wheel.sh --out . VERSION=UCX_SOURCE, pip install ucx_efa-*.whl"
    fi
    [ "$bytes" != payload ] || bytes=$(sed -n 's/^payload //p' "$output")
    row "$name" "$result" "$bytes"
}

python_rows()
{
    name="ucxx, two processes"
    if python_packages ucxx ucxx-cu12 numpy; then
        python_row payload "numpy 256 MB" ucxx_pair.py arrays
    fi
    name="Dask, two workers"
    if python_packages distributed_ucxx distributed-ucxx-cu12 \
        "'dask[array,dataframe]'" && python_packages pyarrow pyarrow; then
        python_row payload "array, frames" dask_work.py ucxx
    fi
}
