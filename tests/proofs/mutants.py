#!/usr/bin/python3
"""Small mistakes put into the proven code: each must be noticed.

Usage: mutants.py [--each=3] [--list] [file.c | function ...]

Takes some mutants of every function of kernel/core, spread over the kinds and over the function's
lines: a comparison or an arithmetic operator changed, a constant off by one, a statement dropped. A mutant is
found if a unit test that is linked with its file fails, or if a goal of its function is not proven
(docs/ASSURANCE.md). What survives both is listed; EQUIVALENT names mutants that mean the same as the
original, with the reason. Fails if anything else survives. One that no compiler takes, or that compiles to the same code, is
replaced by the next.
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prove  # noqa: E402

BUILD = 'build/proofs/mutants'
SECONDS = '10'
TEST_LIMIT_S = 60
CFLAGS = ['-std=gnu11', '-O1', '-Ikernel/include', '-Ikernel', '-Ikernel/core']

# What a change looks like. The first group stays, the second is replaced.
KINDS = [
    ('compare', r'()(<=|>=|==|!=|<|>)(?=[ ])',
     {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '=='}),
    ('arithmetic', r'(?<=[ ])()([-+*/%])(?=[ ])', {'+': '-', '-': '+', '*': '+', '/': '*', '%': '/'}),
    ('logic', r'()(&&|\|\|)', {'&&': '||', '||': '&&'}),
    ('constant', r'(?<![\w.])()(\d+u?|[A-Z][A-Z_0-9]{2,})(?![\w.:])', None),
    ('result', r'(?<=return )()([^;]+)(?=;)', None),
    ('swapped', r'(?<=\w\()()([\w&>-]+, [\w&>-]+)(?=[,)])', None),
]
# (function, changed line as it reads then): why it means the same.
EQUIVALENT = {
    ('sat_add', 'return d >= SC_TIME_MAX - x ? SC_TIME_MAX : x + d;'): 'both give SC_TIME_MAX there',
}


def blank(text):
    """C text with comments and annotations turned into blanks."""
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda m: re.sub(r'[^\n]', ' ', m[0]), text, flags=re.S)


def changed(kind, old):
    """What replaces an operand."""
    if kind == 'swapped':
        return ', '.join(reversed(old.split(', ')))
    if kind == 'result':
        return '!(%s)' % old if re.search(r'\? 1u? : 0u?$|^[01]u?$', old) else '(%s) + 1u' % old
    if old.rstrip('u').isdigit():
        return str(int(old.rstrip('u')) + 1) + ('u' if old.endswith('u') else '')
    return '(%s + 1u)' % old


def mutants_of(path, first, last):
    """[(kind, line number, changed line)] for a range of lines of a file."""
    lines = prove.read(path).split('\n')
    code = blank(prove.read(path)).split('\n')
    found = []
    begun = False
    for n in range(first, last + 1):
        text, whole = code[n], lines[n]
        start = 0
        if not begun:  # nothing in a function's head
            if '{' not in text:
                continue
            begun, start = True, text.index('{') + 1
        for kind, pattern, table in KINDS:
            for m in re.finditer(pattern, text):
                if m.start() >= start:
                    new = table[m[2]] if table else changed(kind, m[2])
                    found.append((kind, n, whole[:m.start(2)] + new + whole[m.end(2):]))
        # a whole statement that declares nothing; or a check that returns
        m = re.match(r'(\s+(?:if \(.*\) )?)(\w[^;{}]*;)\s*$', text)
        declares = r'(break|default|goto|u?int\w* |err_t |struct |const |for )'
        returns = m and m[2].startswith('return')
        if m and not re.match(declares, m[2]) and (not returns or m[1].strip()
                                                   or m[2].startswith('case')):
            found.append(('dropped', n, whole[:m.start(2)] + ';/* ' + m[2] + ' */'))
    return found


def spread(found, each):
    """An order that takes of each kind in turn, from all over the function."""
    kinds = {}
    for m in found:
        kinds.setdefault(m[0], []).append(m)
    for group in kinds.values():
        group.sort(key=lambda m: hash_of(m))
    order = []
    while any(kinds.values()):
        for kind in sorted(kinds):
            if kinds[kind]:
                order.append(kinds[kind].pop(0))
    return order


def hash_of(m):
    """Any fixed order."""
    value = 0
    for c in '%s%d%s' % m:
        value = (value * 131 + ord(c)) % 1000003
    return value


def tests_of(name):
    """Unit tests linked with a file of the core: (source, other sources, flags)."""
    found = []
    for test in sorted(os.listdir('tests/unit')):
        if not (test.startswith('test_core') and test.endswith('.c')):
            continue
        head = ''.join(prove.read('tests/unit/' + test).splitlines(True)[:5])
        sources = ' '.join(re.findall(r'^// sources: (.*)$', head, re.M)).split()
        flags = ' '.join(re.findall(r'^// flags: (.*)$', head, re.M)).split()
        if 'kernel/core/' + name in sources:
            found.append(('tests/unit/' + test, sources, flags))
    return found


def run(command, limit):
    """Exit status; 1 when it takes too long."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, timeout=limit, check=False).returncode
    except subprocess.TimeoutExpired:
        return 1


def compiled(tree, name):
    """The bytes a file compiles to in a tree, None if it does not."""
    out = os.path.join(BUILD, 'x.o')
    flags = [f.replace('-I', '-I%s/' % tree) for f in CFLAGS if f.startswith('-I')]
    if run(['gcc', '-std=gnu11', '-O1', '-w', '-c', *flags, '-o', out,
            os.path.join(tree, prove.CORE, name)], 60) != 0:
        return None
    with open(out, 'rb') as f:
        return f.read()


def found_by_tests(tree, name):
    for number, (test, sources, flags) in enumerate(tests_of(name)):
        program = os.path.join(BUILD, 'test%d' % number)
        here = [f.replace('-I', '-I%s/' % tree) for f in CFLAGS if f.startswith('-I')]
        own = [os.path.join(tree, s) if s.startswith('kernel/') else s for s in sources]
        command = ['gcc', '-std=gnu11', '-O1', '-w', '-fsanitize=address,undefined',
                   '-fno-sanitize-recover=all', *here, '-I.', '-Ivmm/include',
                   *[f for f in flags if not f.startswith('-l')], '-o', program, test, *own, '-lcmocka']
        if run(command, 120) != 0:
            raise RuntimeError('%s does not build' % test)
        if run([os.path.abspath(program)], TEST_LIMIT_S) != 0:
            return os.path.basename(test)[:-2]
    return None


def found_by_proof(tree, name, function):
    log = os.path.join(BUILD, 'log')
    cache = 'build/proofs/cache'
    report = prove.frama_c(name, log, cache, SECONDS, source=tree, only=function)
    n = prove.counts(report)
    if not n:
        raise RuntimeError('Frama-C gave no result:\n' + report[-1500:])
    failed = re.findall(r'\[(?:Failed|Timeout|Unknown)\] Goal (\S+)', report)
    return (failed[0] if failed else 'a goal') if n[0] != n[1] else None


def main():
    each, only = 3, []
    for arg in sys.argv[1:]:
        if arg.startswith('--each='):
            each = int(arg[7:])
        elif not arg.startswith('-'):
            only.append(arg)
    prove.config()
    prove.verdicts_unpack('build/proofs/cache', False)
    tree = os.path.join(BUILD, 'tree')
    shutil.rmtree(BUILD, ignore_errors=True)
    for part in ('kernel/include', 'kernel/core'):
        shutil.copytree(part, os.path.join(tree, part))
    have = prove.contracts()
    tested = proved = total = 0
    survivors, few = [], []
    for name in sorted(f for f in os.listdir(prove.CORE) if f.endswith('.c')):
        original = compiled(tree, name)
        for function, (first, last) in prove.own_functions(name).items():
            if function not in have or (only and name not in only and function not in only):
                continue
            path = os.path.join(prove.CORE, name)
            if function not in prove.functions(path):
                path = path[:-2] + '.h'
            source = prove.read(path)
            count = 0
            for kind, line, text in spread(mutants_of(path, first, last), each):
                if count == each:
                    break
                if '--list' in sys.argv:
                    print('%-24s %-10s %s' % (function, kind, text.strip()))
                    count += 1
                    continue
                lines = source.split('\n')
                lines[line] = text
                with open(os.path.join(tree, path), 'w', encoding='utf-8') as f:
                    f.write('\n'.join(lines))
                code = compiled(tree, name)
                # a static inline function of a header leaves no code here: taken as it is
                if code is None or (code == original and path.endswith('.c')):
                    continue
                count += 1
                total += 1
                by = found_by_tests(tree, name)
                if by:
                    tested += 1
                else:
                    by = found_by_proof(tree, name, function)
                    proved += by is not None
                verdict = by or 'SURVIVED'
                print('%-24s %-10s %-60s %s' % (function, kind, text.strip()[:60], verdict), flush=True)
                if not by:
                    survivors.append((function, text.strip()))
            with open(os.path.join(tree, path), 'w', encoding='utf-8') as f:
                f.write(source)
            if count < each:
                few.append('%s (%d)' % (function, count))
    same = [s for s in survivors if s in EQUIVALENT]
    for function, text in survivors:
        print('survived: %s: %s%s' % (function, text, ' (%s)' % EQUIVALENT[function, text]
                                      if (function, text) in EQUIVALENT else ''))
    if few:
        print('fewer than %d mutants possible: %s' % (each, ', '.join(few)))
    print('%d mutants: %d found by unit tests, %d by a lost goal, %d mean the same, %d survived'
          % (total, tested, proved, len(same), len(survivors) - len(same)))
    return 1 if len(survivors) > len(same) else 0


if __name__ == '__main__':
    sys.exit(main())
