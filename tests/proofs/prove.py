#!/usr/bin/python3
"""Prove the kernel's core: Frama-C/WP with Z3 and CVC4 on each file of kernel/core.

Usage: prove.py [--smoke] [--fresh] [--keep] [--timeout=s] [--build=dir] [file.c ...]

A file counts as proven when WP reports as many goals proven as there are; open goals are allowed only
in functions that docs/ASSURANCE.md names. Fails as well on anything trusted rather than proven (axiom, admit, assume, requires \\false) and on a function without a
contract that docs/ASSURANCE.md does not list. --smoke looks for contradictory requirements and
dead code instead. What the provers said of a goal is kept by the goal's hash: tests/proofs/proven.txt holds the
verdicts of the committed sources, so that only changed goals are proven anew; --fresh proves all of
them, --keep writes that file. Frama-C's exit status says nothing about open goals: its report is read.
"""
import os
import re
import shutil
import subprocess
import sys

CORE = 'kernel/core'
# Proven, in the order that finds mistakes early. A file of kernel/core that is not here has no
# contracts: it is named in the report and in docs/ASSURANCE.md.
FILES = ['cap.c', 'cdt.c', 'cnode.c', 'epoch.c', 'sched_math.c', 'heap.c', 'frame.c', 'untyped.c']
# Defined in a header: proven once, with cap.c.
INLINE = 'cap_type,cap_rights,cap_frozen,cap_obj,cap_grant,cap_pack,rights_meet'
TRUSTED = re.compile(r'\b(axiom|axiomatic|admit|assume)\b|requires[^;]*\\false')

# Seconds for files with goals known to be open: more time does not find them.
SHORT = {'heap.c': '4'}

PROVEN = 'tests/proofs/proven.txt'
smoke = '--smoke' in sys.argv
fresh = '--fresh' in sys.argv
timeout = '60'
build = 'build/proofs'
only = []
for arg in sys.argv[1:]:
    if arg.startswith('--timeout='):
        timeout = arg[10:]
    elif arg.startswith('--build='):
        build = arg[8:]
    elif not arg.startswith('-'):
        only.append(os.path.basename(arg))


def annotations(path):
    text = open(path).read()
    return re.findall(r'/\*@.*?\*/|//@[^\n]*', text, re.S)


def code_lines(path):
    """Lines with code on them."""
    text = re.sub(r'/\*.*?\*/', lambda m: '\n' * m.group().count('\n'),
                  open(path).read(), flags=re.S)
    return sum(1 for line in text.splitlines() if re.sub(r'//.*', '', line).strip())


def functions(path):
    """Names of the functions a file defines."""
    text = re.sub(r'/\*.*?\*/|//[^\n]*', '', open(path).read(), flags=re.S)
    return re.findall(r'^(?:static |inline |const |struct )*[a-z]\w*[ *]+(\w+)\([^;{}]*\)\s*\{',
                      text, re.M)


def contracts():
    """Names of the functions that some contract stands in front of."""
    names = set()
    for name in sorted(os.listdir(CORE)):
        text = re.sub(r'/\*[^@].*?\*/', '', open(os.path.join(CORE, name)).read(), flags=re.S)
        for m in re.finditer(r'/\*@(.*?)\*/', text, re.S):
            head = re.match(r'[\w\s*]*?(\w+)\(', text[m.end():])
            if head and 'ensures' in m[1]:
                names.add(head[1])
    return names


def open_functions():
    """Functions whose open goals docs/ASSURANCE.md admits."""
    part = re.search(r'\n## Open\n(.*?)\nNot stated', open('docs/ASSURANCE.md').read(), re.S)
    return set(re.findall(r'`(\w+)`', part[1])) if part else set()


def admitted(goal, names):
    return any(goal.startswith('typed_%s_' % n) for n in names)


def frama_c(name):
    out = os.path.join(build, name + ('.smoke' if smoke else '') + '.log')
    cache = os.path.join(build, 'cache')
    os.makedirs(cache, exist_ok=True)
    cmd = ['frama-c', '-c11', '-machdep', 'gcc_x86_64',
           '-cpp-extra-args=-Ikernel/include -Ikernel -Ikernel/core',
           '-kernel-warn-key', 'annot:missing-spec=error', '-wp', '-wp-rte',
           '-warn-unsigned-overflow', '-warn-unsigned-downcast', '-warn-signed-downcast',
           # a call ends: loops have proven variants, and nothing is recursive
           '-wp-definitions-terminate', '-wp-declarations-terminate', '-wp-prover', 'z3,cvc4', '-wp-par', '2',
           '-wp-timeout', SHORT.get(name, timeout), '-wp-cache', 'update', '-wp-cache-dir', cache]
    if name in ('cnode.c', 'frame.c', 'untyped.c'):
        cmd += ['-wp-skip-fct', INLINE]
    if smoke:
        cmd += ['-wp-smoke-tests', '-wp-smoke-timeout', '1']
    with open(out, 'w') as f:
        subprocess.run(cmd + [os.path.join(CORE, name)], stdout=f, stderr=subprocess.STDOUT,
                       check=False)
    return open(out).read()


def verdicts_unpack(cache):
    """The committed verdicts, where this tree has none of its own yet."""
    if fresh:
        shutil.rmtree(cache, ignore_errors=True)
    if fresh or os.path.exists(cache) or not os.path.exists(PROVEN):
        return
    os.makedirs(cache)
    with open(PROVEN, encoding='ascii') as f:
        for line in f:
            name, verdict = line.split(' ', 1)
            with open(os.path.join(cache, name + '.json'), 'w', encoding='ascii') as out:
                out.write(verdict)


def verdicts_keep(cache):
    """Write the positive verdicts; the others are to be tried again."""
    lines = []
    for name in sorted(os.listdir(cache)):
        verdict = open(os.path.join(cache, name), encoding='ascii').read().strip()
        if '"verdict": "valid"' in verdict:
            lines.append('%s %s\n' % (name[:-5], verdict))
    with open(PROVEN, 'w', encoding='ascii') as f:
        f.writelines(lines)


def config():
    """Why3 must have looked for its provers once."""
    if not os.path.exists(os.path.expanduser('~/.why3.conf')):
        subprocess.run(['why3', 'config', 'detect'], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def main():
    bad = []
    os.makedirs(build, exist_ok=True)
    config()
    verdicts_unpack(os.path.join(build, 'cache'))
    sources = [f for f in sorted(os.listdir(CORE)) if f.endswith('.c')]
    for name in sorted(os.listdir(CORE)):
        for a in annotations(os.path.join(CORE, name)):
            if TRUSTED.search(a):
                bad.append('%s: trusted, not proven: %s' % (name, TRUSTED.search(a).group()))
    have = contracts()
    listed = open('docs/ASSURANCE.md').read()
    known = open_functions()
    total = proven = count = 0
    for name in FILES:
        if only and name not in only:
            continue
        for f in functions(os.path.join(CORE, name)):
            count += f in have
            if f not in have and '`%s`' % f not in listed:
                bad.append('%s: %s has no contract, and docs/ASSURANCE.md does not say why'
                           % (name, f))
        text = frama_c(name)
        m = re.search(r'Proved goals:\s+(\d+) / (\d+)', text)
        if not m or int(m[2]) == 0:
            bad.append('%s: Frama-C gave no result' % name)
            print(text[-2000:])
            continue
        total += int(m[2])
        proven += int(m[1])
        failed = re.findall(r'\[(?:Failed|Timeout|Unknown)\] Goal (\S+)', text)
        doomed = re.findall(r'Failed smoke-test', text)
        print('%-14s %4s / %s' % (name, m[1], m[2]), flush=True)
        new = [g for g in failed if not admitted(g, known)]
        if new or doomed or int(m[2]) - int(m[1]) != len(failed):
            bad.append('%s: open: %s' % (name, ', '.join(new) or 'see build/proofs'))
        for g in failed:
            print('    %s: %s' % ('NOT PROVEN' if g in new else 'open (docs/ASSURANCE.md)', g))
    if not only:
        for name in sources:
            if name not in FILES and '`%s`' % name not in listed:
                bad.append('%s: not proven, and docs/ASSURANCE.md does not say why' % name)
        inside = sum(code_lines(os.path.join(CORE, n)) for n in FILES)
        every = sum(code_lines(os.path.join(CORE, n)) for n in sources)
        print('proved %d of %d goals, %d functions, %d %% of core\'s lines'
              % (proven, total, count, 100 * inside // every))
    for b in bad:
        print('prove:', b, file=sys.stderr)
    if '--keep' in sys.argv and not bad:
        verdicts_keep(os.path.join(build, 'cache'))
    return 1 if bad else 0


sys.exit(main())
