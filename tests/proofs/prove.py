#!/usr/bin/python3
"""Prove the kernel's core: Frama-C/WP with Z3 and CVC4 on each file of kernel/core.

Usage: prove.py [--smoke] [--fresh] [--keep] [--timeout=s] [--build=dir] [file.c ...]

Fails on a goal that is not proven, on a function without a contract that docs/ASSURANCE.md does not
list under "Without contracts", and on anything trusted rather than proven (axiom, admit, assume,
requires \\false). --smoke looks for contradictory requirements and dead code instead.

What the provers said is kept under the hash of their whole input (goal, hypotheses, definitions,
name and version of the prover): a goal that a change of the source touches has another hash, and is
proven anew. tests/proofs/proven.txt holds the verdicts "valid" of the committed sources. --fresh
uses none of them, --keep writes that file. Frama-C's exit status says nothing about open goals: its
report is read.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

CORE = 'kernel/core'
ASSURANCE = 'docs/ASSURANCE.md'
PROVEN = 'tests/proofs/proven.txt'
TRUSTED = re.compile(r'\b(axiom|axiomatic|admit|assume)\b|requires[^;]*\\false')
SURE = re.compile(r'guaranteed RTE:\s+(.*)')
OPEN = re.compile(r'\[(?:Failed|Timeout|Unknown)\] (?:Goal|Smoke-test) (\S+)')
# Seconds for a goal. Nearly all take less than one; it is long, because a slow or busy machine is no reason to fail.
SECONDS = '240'
# The files that take longest come first.
COSTLY = ['untyped.c', 'cnode.c', 'frame.c', 'heap.c', 'cdt.c']


def without_comments(text, annotations=False):
    """C text without comments, line numbers kept; annotations stay if asked for."""
    keep = r'(?!@)' if annotations else ''
    text = re.sub(r'/\*' + keep + r'.*?\*/', lambda m: '\n' * m.group().count('\n'), text,
                  flags=re.S)
    return re.sub(r'//[^\n]*', '', text)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


DEFINITION = re.compile(r'^(?:static |inline |const |struct )*[a-z]\w*[ *]+(\w+)\([^;{}]*\)\s*\{',
                        re.M)


def functions(path):
    """{name: (first line, last line)} of the functions a file defines."""
    text = without_comments(read(path))
    found = {}
    for m in DEFINITION.finditer(text):
        end = text.index('\n', m.end() - 1)
        if '}' not in text[m.end():end]:
            end = text.index('\n}', m.end()) + 2
        found[m[1]] = (text.count('\n', 0, m.start()), text.count('\n', 0, end))
    return found


def lines_of(path, first, last):
    """How many lines of a range have code on them."""
    return sum(1 for line in without_comments(read(path)).splitlines()[first:last + 1]
               if line.strip())


def contracts():
    """Names of the functions that a contract stands in front of."""
    names = set()
    for name in os.listdir(CORE):
        text = without_comments(read(os.path.join(CORE, name)), annotations=True)
        for m in re.finditer(r'/\*@(.*?)\*/', text, re.S):
            head = re.match(r'[\w\s*]*?(\w+)\(', text[m.end():])
            if head and 'ensures' in m[1] and 'assigns' in m[1]:
                names.add(head[1])
    return names


def listed():
    """Functions that docs/ASSURANCE.md excuses from having a contract."""
    part = re.search(r'\nWithout contracts:\n(.*?)\n#', read(ASSURANCE), re.S)
    return set(re.findall(r'`(\w+)`', part[1])) if part else set()


def headers_of(name, seen=None):
    """The headers of the core that a file includes, directly or not."""
    seen = set() if seen is None else seen
    for other in re.findall(r'#include "(?:core/)?(\w+\.h)"', read(os.path.join(CORE, name))):
        if os.path.exists(os.path.join(CORE, other)) and other not in seen:
            seen.add(other)
            headers_of(other, seen)
    return seen


def own_functions(name):
    """The functions proven with X.c: its own, and those defined in X.h."""
    found = dict(functions(os.path.join(CORE, name)))
    header = name[:-2] + '.h'
    if os.path.exists(os.path.join(CORE, header)):
        found.update(functions(os.path.join(CORE, header)))
    return found


def command(name, cache, seconds, smoke=False, source=None, only=None, keep=False, jobs='2'):
    """WP on one file. `source`: another tree with kernel/core; `only`: a function's name; `keep`: take
    unused verdicts out of the cache."""
    tree = source or '.'
    cmd = ['frama-c', '-c11', '-machdep', 'gcc_x86_64',
           '-cpp-extra-args=-I%s/kernel/include -I%s/kernel -I%s/kernel/core' % (tree, tree, tree),
           '-kernel-warn-key', 'annot:missing-spec=error', '-wp', '-wp-rte',
           '-warn-unsigned-overflow', '-warn-unsigned-downcast', '-warn-signed-downcast',
           # a call ends: loops have proven variants, and nothing is recursive
           '-wp-definitions-terminate', '-wp-declarations-terminate',
           '-wp-prover', 'z3,cvc4', '-wp-par', jobs, '-wp-timeout', seconds,
           '-wp-cache', 'cleanup' if keep else 'update']
    # WP cleans only a cache that belongs to a session
    cmd += ['-wp-session', os.path.dirname(cache)] if keep else ['-wp-cache-dir', cache]
    elsewhere = sorted(f for h in headers_of(name) - {name[:-2] + '.h'}
                       for f in functions(os.path.join(CORE, h)))
    if only:
        cmd += ['-wp-fct', only]
    elif elsewhere:
        cmd += ['-wp-skip-fct', ','.join(elsewhere)]
    if smoke:
        cmd += ['-wp-smoke-tests', '-wp-smoke-timeout', '1']
    return cmd + [os.path.join(tree, CORE, name)]


# Frama-C resolves paths by PWD, which need not be where we are
def environment():
    return dict(os.environ, PWD=os.getcwd())


def frama_c(name, log, cache, seconds, **how):
    """One run of WP on one file; returns its report."""
    with open(log, 'w', encoding='utf-8') as f:
        subprocess.run(command(name, cache, seconds, **how), stdout=f, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, env=environment(), check=False)
    with open(log, encoding='utf-8', errors='replace') as f:
        return f.read()


def first_open(name, cache, seconds, tree, function, limit):
    """The first goal of a function that is not proven, None if all are; one prover at a time. TimeoutError when
    neither is known after `limit` seconds."""
    said = []
    late = threading.Event()
    with subprocess.Popen(command(name, cache, seconds, source=tree, only=function, jobs='1'),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, errors='replace', env=environment(),
                          start_new_session=True) as process:
        def stop():
            late.set()
            os.killpg(process.pid, signal.SIGTERM)
        timer = threading.Timer(limit, stop)
        timer.start()
        for line in process.stdout:
            said.append(line)
            failed = OPEN.search(line) or SURE.search(line)
            if failed:
                timer.cancel()
                os.killpg(process.pid, signal.SIGTERM)
                return failed[1]
        timer.cancel()
    if late.is_set():
        raise TimeoutError(function)
    n = counts(''.join(said))
    if not n or n[0] != n[1]:
        raise RuntimeError('Frama-C gave no result:\n' + ''.join(said)[-1500:])
    return None


def counts(report):
    """(proven, all) of a report, or None. What is sure to fail is no goal for WP, and taken for granted
    by what follows it: one open goal for each."""
    m = re.search(r'Proved goals:\s+(\d+) / (\d+)', report)
    return (int(m[1]), int(m[2]) + len(SURE.findall(report))) if m and int(m[2]) > 0 else None


def log_of(name, build, smoke):
    return os.path.join(build, name + ('.smoke' if smoke else '') + '.log')


def verdicts_unpack(cache, fresh):
    """Lay out the committed verdicts as WP's cache wants them."""
    if fresh:
        shutil.rmtree(cache, ignore_errors=True)
    os.makedirs(cache, exist_ok=True)
    if fresh or not os.path.exists(PROVEN):
        return
    have = set(os.listdir(cache))
    for line in read(PROVEN).splitlines():
        name, verdict = line.split(' ', 1)
        if name + '.json' not in have:
            with open(os.path.join(cache, name + '.json'), 'w', encoding='ascii') as out:
                out.write(verdict + '\n')


def verdicts_keep(files, cache, build):
    """Write the verdicts "valid" that these sources use, and no others."""
    lines = set()
    for name in files:
        used = os.path.join(build, 'keep', name, 'cache')
        shutil.rmtree(used, ignore_errors=True)
        shutil.copytree(cache, used)
        frama_c(name, os.path.join(build, name + '.keep.log'), used, SECONDS, keep=True)
        for entry in os.listdir(used):
            verdict = read(os.path.join(used, entry)).strip()
            if '"verdict": "valid"' in verdict:
                lines.add('%s %s\n' % (entry[:-5], verdict))
    with open(PROVEN, 'w', encoding='ascii') as f:
        f.writelines(sorted(lines))


def config():
    """Why3 must have looked for its provers once."""
    if not os.path.exists(os.path.expanduser('~/.why3.conf')):
        subprocess.run(['why3', 'config', 'detect'], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def main():
    smoke = '--smoke' in sys.argv
    seconds, build, only, bad = SECONDS, 'build/proofs', [], []
    for arg in sys.argv[1:]:
        if arg.startswith('--timeout='):
            seconds = arg[10:]
        elif arg.startswith('--build='):
            build = arg[8:]
        elif not arg.startswith('-'):
            only.append(os.path.basename(arg))
    cache = os.path.join(build, 'cache')
    os.makedirs(build, exist_ok=True)
    config()
    verdicts_unpack(cache, '--fresh' in sys.argv)

    have, excused = contracts(), listed()
    files = [f for f in sorted(os.listdir(CORE)) if f.endswith('.c')]
    for name in sorted(os.listdir(CORE)):
        for a in re.findall(r'/\*@.*?\*/|//@[^\n]*', read(os.path.join(CORE, name)), re.S):
            if TRUSTED.search(a):
                bad.append('%s: trusted, not proven: %s' % (name, TRUSTED.search(a).group()))
        if name.endswith('.h') and name[:-2] + '.c' not in files \
                and functions(os.path.join(CORE, name)):
            bad.append('%s: defines functions, and there is no %s.c to prove them with'
                       % (name, name[:-2]))
    chosen = sorted((f for f in files if not only or f in only),
                    key=lambda f: COSTLY.index(f) if f in COSTLY else len(COSTLY))
    total = proven = count = inside = every = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, min(2, os.cpu_count() or 1))) as pool:
        runs = {f: pool.submit(frama_c, f, log_of(f, build, smoke), cache, seconds, smoke=smoke) for f in chosen}
        for name in chosen:
            report = runs[name].result()
            n = counts(report)
            for f, (first, last) in own_functions(name).items():
                path = os.path.join(CORE, name)
                if f not in functions(path):
                    path = path[:-2] + '.h'
                lines = lines_of(path, first, last)
                every += lines
                if f in have and (smoke or 'typed_%s_' % f in report):
                    count += 1
                    inside += lines
                elif f in have:
                    bad.append('%s: %s has a contract, and no goal' % (name, f))
                elif f not in excused:
                    bad.append('%s: %s has no contract, and %s does not say why'
                               % (name, f, ASSURANCE))
            if not n:
                bad.append('%s: Frama-C gave no result' % name)
                print(report[-2000:])
                continue
            proven += n[0]
            total += n[1]
            print('%-14s %4d / %d' % (name, n[0], n[1]), flush=True)
            failed = dict.fromkeys(OPEN.findall(report) + SURE.findall(report))
            if n[0] != n[1] or failed:
                bad.append('%s: not proven: %s'
                           % (name, ', '.join(failed) or 'see ' + log_of(name, build, smoke)))
    if not only:
        print('proved %d of %d goals, %d functions, %d %% of core\'s lines'
              % (proven, total, count, 100 * inside // every))
    for b in bad:
        print('prove:', b, file=sys.stderr)
    if '--keep' in sys.argv and not bad and not only:
        verdicts_keep(files, cache, build)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
