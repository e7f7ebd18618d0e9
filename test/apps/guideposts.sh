#!/usr/bin/env bash
# contrib/guideposts.sh finds each kind of name that leads nowhere, and is silent
# about those that are there.
# shellcheck disable=SC2016 # backquotes are those of documents
# shellcheck source=test/apps/common.sh
. "$(dirname "$0")/common.sh"

tree=$TMPDIR/guideposts

toy_tree()
{
    rm -rf "$tree"
    mkdir -p "$tree"/{contrib,docs,man,src/softefa/nic,test/gtest/unit}
    echo 'case $1 in --fast) ;; esac' > "$tree/contrib/go.sh"
    echo '.B \-\-soft' > "$tree/man/efarun.1"
    echo 'unit plain - test_unit' > "$tree/test/suites"
    echo '.BR SOFTEFA_SEED' > "$tree/man/softefa.7"
    echo 'TEST_F(wire, tail) { }' > "$tree/test/gtest/unit/test_wire.cc"
    cat > "$tree/src/softefa/nic/qp.c" << 'END'
/* softefa_qp_reset() is in qp.c; nic/qp.c, too. See <linux/types.h> */
int softefa_qp_reset(void);
const char *text = "softefa_text_only() of gone.c";
END
    cat > "$tree/docs/page.md" << 'END'
`nic/qp.c`, `src/softefa/{nic/qp,nic/qp}.c`, `q*.c`, softefa_qp_*, SOFTEFA_SEED,
`contrib/go.sh --fast`, `efarun --soft ls --color`, efarun --soft: --this
`SOFTEFA_*`, `wire.tail`, `wire.t*`, the suite `unit`, SUITES="unit", page.md
END
}

judged()
{
    "$TOP/contrib/guideposts.sh" --top "$tree" > "$TMPDIR/judgement" 2>&1
}

# finds NAME FILE TEXT WORD: one finding when TEXT is added to FILE
finds()
{
    toy_tree
    echo "$3" >> "$tree/$2"
    if judged; then
        not_ok "$1" "passed"
    elif [ "$(grep -c '^[^ ]*:[0-9]*: ' "$TMPDIR/judgement")" != 1 ] ||
             ! grep -qF "$2:" "$TMPDIR/judgement" ||
             ! grep -qF ": $4: " "$TMPDIR/judgement"; then
        not_ok "$1" "$(< "$TMPDIR/judgement")"
    else
        ok "$1"
    fi
}

toy_tree
if judged; then
    ok "names that are there"
else
    not_ok "names that are there" "$(< "$TMPDIR/judgement")"
fi
finds "a file of a document" docs/page.md 'See `nic/cq.c`.' nic/cq.c
finds "a file in another folder" docs/page.md 'See `kernel/qp.c`.' kernel/qp.c
finds "one of several files" docs/page.md 'See nic/{qp,cq}.c.' 'nic/{qp,cq}.c'
finds "files that no pattern fits" docs/page.md 'See `nic/x*.c`.' 'nic/x*.c'
finds "a file of a comment" src/softefa/nic/qp.c '/* as in cq.c */' cq.c
finds "a file of a long comment" src/softefa/nic/qp.c $'/* as\n * in cq.c\n */' \
    cq.c
finds "a file of a comment in C++" test/gtest/unit/test_wire.cc '// cq.c' cq.c
finds "a function of a comment" src/softefa/nic/qp.c \
    '/* softefa_qp_gone() does */' softefa_qp_gone
finds "functions that begin so" docs/page.md 'See softefa_cq_*.' softefa_cq_
finds "an option" docs/page.md 'Set SOFTEFA_SEEDS=1.' SOFTEFA_SEEDS
finds "a test" docs/page.md 'See `wire.head`.' wire.head
finds "a suite" docs/page.md 'make check SUITES=device' device
finds "a suite among others" docs/page.md 'make check SUITES="unit uct"' uct
finds "an argument of a script" docs/page.md 'Run `contrib/go.sh 1 --slow`.' \
    --slow
finds "an argument of efarun" docs/page.md 'efarun --soft --hard ls' --hard
finds "a suite of a sentence" docs/page.md 'The suite `uct` is it.' uct
finish
