"""docs/uct-contract.md against the tests that there are and UCX's headers.

    contract.py DOCUMENT SUITES UCX-SOURCE LISTS

LISTS: directory with the output of --gtest_list_tests of each program, by name.
Prints one "ok" or "not ok" line for each kind of thing that can rot.
"""
import os
import re
import sys

# Members of these must have a row below the heading that names the structure,
# or in a row that begins with its name.
STRUCTS = {
    'uct_iface_attr', 'uct_iface_attr_v2_t', 'uct_perf_attr_t',
    'uct_iface_params', 'uct_iface_is_reachable_params', 'uct_ep_params',
    'uct_iface_ops', 'uct_iface_internal_ops', 'uct_md_attr',
    'uct_md_attr_v2_t', 'uct_md_ops', 'uct_component',
    'uct_md_mem_reg_params', 'uct_md_mem_dereg_params',
    'uct_md_mkey_pack_params', 'uct_md_mem_attach_params', 'uct_md_mem_attr',
    'uct_md_mem_attr_v2', 'uct_mem_alloc_params_t', 'uct_rkey_unpack_params',
    'uct_rkey_compare_params',
}

# Flags must stand somewhere
FLAGS = re.compile(
    r'\b(UCT_(?:IFACE_FLAG|IFACE_FEATURE|IFACE_OPEN_MODE|MD_FLAG|MD_MEM_ACCESS|'
    r'MD_MEM_FLAG|MD_MKEY_PACK_FLAG|MD_MEM_DEREG_FLAG|MD_MEM_ATTACH_FLAG|'
    r'FLUSH_FLAG|SEND_FLAG|CB_FLAG|CB_PARAM_FLAG|PROGRESS|EVENT|COMPONENT_FLAG|'
    r'PERF_ATTR_FLAGS|IFACE_REACHABILITY_SCOPE)_\w+)\b\s*(?:=|,|\s|UCS_BIT)')

# Names of several flags together, of ends, and of no flag
NO_FLAGS = re.compile(r'_(LAST|FIRST|RESERVED|ALL|RMA)$|_V2_FIRST$|_FIELD_')
NO_FLAGS_BUT = {'UCT_CB_PARAM_FLAG_FIRST', 'UCT_MD_FLAG_INVALIDATE_RMA',
                'UCT_MD_MKEY_PACK_FLAG_INVALIDATE_RMA'}

HEADERS = ['uct/api/uct.h', 'uct/api/uct_def.h', 'uct/api/tl.h',
           'uct/api/v2/uct_v2.h', 'uct/base/uct_iface.h', 'uct/base/uct_md.h',
           'uct/base/uct_component.h']


def say(name, problems):
    if problems:
        print('not ok %s: %s' % (name, '; '.join(sorted(problems))))
    else:
        print('ok %s' % name)
    return bool(problems)


def without_comments(text):
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    return re.sub(r'//[^\n]*', ' ', text)


def closing(text, start):
    """Behind the brace that closes the one before start"""
    depth = 1
    while depth > 0:
        depth += {'{': 1, '}': -1}.get(text[start], 0)
        start += 1
    return start


def members(body, prefix=''):
    """Paths of what is declared, as in cap.am.max_short"""
    found = []
    position = 0
    for match in iter(lambda: re.compile(r'(struct|union)\s*\{|;').search(
            body, position), None):
        if match.group() == ';':
            name = re.search(r'(\w+)\s*(\[[^]]*\]\s*)?(\)\s*\([^;]*\))?$',
                             body[position:match.start()].strip())
            if name:
                found.append(prefix + name.group(1))
            position = match.end()
            continue
        end = closing(body, match.end())
        names = body[end:body.index(';', end)]
        inner = body[match.end():end - 1]
        for name in [n.strip() for n in names.split(',')]:
            found += members(inner, prefix + (name + '.' if name else ''))
        position = body.index(';', end) + 1
    return found


def structures(text):
    found = {}
    for match in re.finditer(r'(?:typedef\s+)?struct\s*(\w*)\s*\{', text):
        end = closing(text, match.end())
        name = match.group(1) or re.match(r'\s*(\w*)', text[end:]).group(1)
        if name in STRUCTS:
            found[name] = members(text[match.end():end - 1])
    return found


def names_of(cell):
    """Names in backticks; one that begins with _ goes on like that before it"""
    names, last = [], ''
    for token in re.findall(r'`([^`]+)`', cell):
        if token.startswith('_') and last:
            parts = last.split('_')
            names += ['_'.join(parts[:i]) + token for i in range(1, len(parts))]
        else:
            names.append(token)
            last = token
    return names


def read_document(path):
    """Rows: section, names, all five cells"""
    rows, section = [], ''
    for line in open(path, encoding='utf-8'):
        if line.startswith('#'):
            section = line
        elif line.startswith('| ') and not line.startswith('| what |'):
            cells = [c.strip() for c in line.strip().strip('|').split('|')]
            rows.append((section, names_of(cells[0]), cells))
    return [row for row in rows if row[0].startswith('###')]


def check_rows(rows):
    problems = set()
    for section, _, cells in rows:
        if len(cells) != 5:
            problems.add('%d columns: %s' % (len(cells), cells[0]))
        elif not cells[2] or not cells[4]:
            problems.add('%s says nothing' % cells[0])
    return say('rows are complete (%d)' % len(rows), problems)


def check_tests(rows, suites_path, lists):
    suites, tests, problems, count = {}, {}, set(), 0
    for line in open(suites_path, encoding='utf-8'):
        if line.strip() and not line.startswith('#'):
            name, _, _, command = line.split(None, 3)
            suites[name] = command.split()[0]
    for program in os.listdir(lists):
        tests[program] = set()
        suite = ''
        for line in open(os.path.join(lists, program), encoding='utf-8'):
            word = line.split('#')[0].strip()
            if not line.startswith(' '):
                suite = word.split('/')[-1]
            else:
                tests[program].add(suite + word.split('/')[0])
    for _, _, cells in rows:
        for part in cells[-1].split(';'):
            suite, _, names = part.strip().partition(':')
            if suite not in suites:
                problems.add('no suite %s (%s)' % (suite, cells[0]))
                continue
            for name in [n.strip() for n in names.split(',') if n.strip()]:
                count += 1
                if name not in tests.get(suites[suite], ()):
                    problems.add('no test %s: %s' % (suite, name))
    if count == 0:
        problems.add('no test is named at all')
    return say('tests exist (%d)' % count, problems)


def check_headers(rows, source):
    text = ''
    for header in HEADERS:
        path = os.path.join(source, 'src', header)
        if os.path.exists(path):
            text += without_comments(open(path, encoding='utf-8').read())
    failed = 0
    found = structures(text)
    if len(found) < 12:
        return say('structures of UCX', {'only %s found' % sorted(found)})
    for name in sorted(found):
        known = set()
        for section, names, _ in rows:
            if ('`%s`' % name) in section or (names and names[0] == name):
                known.update(names)
        failed += say('%s (%d)' % (name, len(found[name])),
                      {'no row for ' + m for m in found[name]
                       if m not in known and
                       not (name == 'uct_md_attr' and m[4:] in known)})
    anywhere = {n for _, names, _ in rows for n in names}
    flags = {f for f in FLAGS.findall(text)
             if not NO_FLAGS.search(f) or f in NO_FLAGS_BUT}
    return failed + say('flags (%d)' % len(flags),
                        {'no row for ' + f for f in flags - anywhere})


def main():
    document, suites, source, lists = sys.argv[1:]
    rows = read_document(document)
    failed = check_rows(rows) + check_tests(rows, suites, lists)
    failed += check_headers(rows, source)
    return 1 if failed else 0


sys.exit(main())
