#!/usr/bin/python3
"""Small mistakes put into the proven code: each must be noticed.

Usage: mutants.py [--each=3] [--jobs=2] [--list] [--fresh] [file.c | function ...]

Takes some mutants of every function of kernel/core, spread over the kinds and over the function's
lines: a comparison or an arithmetic operator changed, a constant off by one, a statement dropped. A mutant is
found if a unit test that is linked with its file fails, or else if a goal of its function is not proven
(docs/ASSURANCE.md); the unit tests come first, because they take a second. What survives both is
listed; EQUIVALENT names mutants that mean the same as the original, with the reason. Fails if anything else
survives. One that no compiler takes, or that compiles to the same code, is replaced by the next.

What was found of each mutant is kept in build/proofs/mutants.found under the hash of all that it depends on,
so that a run that was interrupted goes on, and a new unit test costs no proof again; --fresh forgets it.
A test may take five times the CPU seconds that it takes on the original, an attempt to prove PROOF_LIMIT_S: a mutant
whose proof did not end is a survivor.
"""
import concurrent.futures
import hashlib
import math
import os
import queue
import re
import resource
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prove  # noqa: E402

BUILD = 'build/proofs/mutants'
FOUND = 'build/proofs/mutants.found'
SECONDS = '10'
PROOF_LIMIT_S = 900
PLAIN = ['-std=gnu11', '-O1', '-w', '-c', '-fno-pie']
# Most fall to the plain build, which takes a third of the time.
BUILDS = [[], ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']]
# The test that takes longest comes last.
COSTLY_TEST = 'test_core_states.c'
TREES = []
KNOWN = None
CORE_TEXT = None

# What a change looks like. The first group stays, the second is replaced.
KINDS = [
    ('compare', r'()(<=|>=|==|!=|<|>)(?=[ ])',
     {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '=='}),
    ('arithmetic', r'(?<=[ ])()([-+*/%])(?=[ ])', {'+': '-', '-': '+', '*': '+', '/': '*', '%': '/'}),
    ('logic', r'()(&&|\|\|)', {'&&': '||', '||': '&&'}),
    ('constant', r'(?<![\w.])()(\d+u?|[A-Z][A-Z_0-9]{2,})(?![\w.:])', None),
    ('result', r'(?<=return )()([^;]+)(?=;)', None),
    ('assigned', r'(?<= = )()([^;{}]+)(?=;)', None),
    ('index', r'(?<=\w\[)()([\w>-]+)(?=\])', None),
    ('argument', r'(?<=\w)\(()(\w+)(?=[,)])', None),
    ('zero', r'(?<=\w)\(()([a-z]\w*)(?=[,)])', None),
    ('field', r'(?<=[\w\]](?:\.|>))()(next|prev|a|b|c|d|w0|badge|count|key|id|table|level)\b',
     {'next': 'prev', 'prev': 'next', 'a': 'b', 'b': 'a', 'c': 'd', 'd': 'c', 'w0': 'badge', 'badge': 'w0',
      'count': 'depth', 'key': 'id', 'id': 'key', 'table': 'level', 'level': 'table'}),
    ('swapped', r'(?<=\w\()()([\w&>-]+, [\w&>-]+)(?=[,)])', None),
]
# (function, changed line as it reads then): why it means the same.
EQUIVALENT = {
    ('sat_add', 'return d >= SC_TIME_MAX - x ? SC_TIME_MAX : x + d;'): 'both give SC_TIME_MAX there',
    ('sat_sub', 'static uint64_t sat_sub(uint64_t x, uint64_t d) { return d >= x ? 0u : x - d; }'):
        'both give 0 there',
    ('sc_pace', 'if (t->floor_left >= most) t->floor_left = most;'): 'the same value is written again',
    ('sc_slice', 'if (t->floor_left > 0u && t->floor_left <= t->ceiling_left) return t->floor_left;'):
        'both are the same there',
    ('cnode_commit_copy',
     'uint64_t word = cap_pack(cap_type(w), rights_meet(cap_rights((w + 1u)), rights), cap_obj(w));'):
        'no type is all ones: adding to it does not reach the rights',
    ('frame_check', 'if (cap_frozen((w + 1u)) != 0u) return BH_ERR_STATE;'):
        'the type is BH_CAP_FRAME there: adding to it does not reach the frozen bit',
    ('heap_place', 'if (i > 0u && h->item[(i - 1u) / 2u].key >= key)'):
        'with equal keys both ways end at place i',
}


def blank(text):
    """C text with comments and annotations turned into blanks."""
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda m: re.sub(r'[^\n]', ' ', m[0]), text, flags=re.S)


def changed(kind, old):
    """What replaces an operand."""
    if kind == 'zero':
        return '0u'
    if kind == 'argument':
        return '(%s + 1u)' % old
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
        m = re.match(r'(\s+(?:if \(.*\) )?|.*\) \{ )(\w[^;{}]*;)(?: \})?\s*$', text)
        declares = r'(break|default|goto|u?int\w* |err_t |struct |const |for )'
        returns = m and m[2].startswith('return')
        if m and not re.match(declares, m[2]) and (not returns or m[1].strip()
                                                   or m[2].startswith('case')):
            found.append(('dropped', n, whole[:m.start(2)] + ';/* ' + m[2] + ' */' + whole[m.end(2):]))
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
    """Unit tests linked with a file of the core: [(source, all sources, flags)]."""
    found = []
    for test in sorted(os.listdir('tests/unit'), key=lambda test: (test == COSTLY_TEST, test)):
        if not (test.startswith('test_core') and test.endswith('.c')):
            continue
        head = ''.join(prove.read('tests/unit/' + test).splitlines(True)[:5])
        sources = ' '.join(re.findall(r'^// sources: (.*)$', head, re.M)).split()
        flags = ' '.join(re.findall(r'^// flags: (.*)$', head, re.M)).split()
        if 'kernel/core/' + name in sources:
            found.append(('tests/unit/' + test, ['tests/unit/' + test] + sources, flags))
    return found


def run(command, limit, cpu=None):
    """Exit status; 1 when it takes too long. cpu: seconds it may compute, where a busy machine is no excuse."""
    def bound():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, timeout=limit, check=False,
                              preexec_fn=bound if cpu else None).returncode
    except subprocess.TimeoutExpired:
        return 1


class Found:
    """What earlier runs have found out: key -> text, '' for nothing. One line each, never rewritten."""

    def __init__(self, fresh):
        if fresh and os.path.exists(FOUND):
            os.remove(FOUND)
        self.lock = threading.Lock()
        self.known = {}
        if os.path.exists(FOUND):
            for line in prove.read(FOUND).splitlines(True):
                if line.endswith('\n') and ' ' in line:  # a line that was cut off says nothing
                    key, text = line[:-1].split(' ', 1)
                    self.known[key] = text

    def once(self, key, look):
        """What is known, or what look() says."""
        if key not in self.known:
            text = look() or ''
            with self.lock:
                self.known[key] = text
                with open(FOUND, 'a', encoding='utf-8') as f:
                    f.write('%s %s\n' % (key, text))
        return self.known[key] or None


def digest(*texts):
    return hashlib.sha256('\0'.join(texts).encode()).hexdigest()[:24]


def core_text():
    """All that a mutant's proof and tests see of the product."""
    parts = []
    for place in (prove.CORE, 'kernel/include'):
        for folder, _, names in sorted(os.walk(place)):
            parts += [prove.read(os.path.join(folder, n)) for n in sorted(names)]
    return digest(*parts)


def includes(tree):
    return ['-I%s/%s' % (tree, part) for part in ('kernel/include', 'kernel', 'kernel/core')]


def compiled(tree, name, out):
    """The bytes a file of the core compiles to in a tree, None if it does not."""
    if run(['gcc', *PLAIN, *includes(tree), '-o', out, os.path.join(tree, prove.CORE, name)], 60) != 0:
        return None
    with open(out, 'rb') as f:
        return f.read()


class Mutant:
    """One changed line of one function."""

    def __init__(self, name, path, function, kind, line, text):
        self.name, self.path, self.function = name, path, function
        self.kind, self.line, self.text = kind, line, text
        self.before = prove.read(path)
        self.by = None
        self.unfinished = False

    def key(self):
        return '%s:%d:%s:%s' % (self.path, self.line, self.function, self.text)

    def put(self, tree):
        """Into a tree."""
        lines = self.before.split('\n')
        lines[self.line] = self.text
        self.write(tree, '\n'.join(lines))

    def take_out(self, tree):
        self.write(tree, self.before)

    def write(self, tree, text):
        with open(os.path.join(tree, self.path), 'w', encoding='utf-8') as f:
            f.write(text)

    def report(self, number, total):
        print('[%d/%d] %-24s %-10s %-56s %s' % (number, total, self.function, self.kind,
                                                 self.text.strip()[:56], self.by or 'SURVIVED'), flush=True)


class Tree:
    """A copy of the core that one mutant at a time is put into."""

    def __init__(self, number):
        self.place = os.path.join(BUILD, str(number))
        self.tree = os.path.join(self.place, 'tree')
        for part in ('kernel/include', 'kernel/core'):
            shutil.copytree(part, os.path.join(self.tree, part))
        self.objects = {}  # (source, flags): object file of the original
        self.seconds = {}  # (test, flags): what it may compute

    def compile(self, source, flags, out):
        own = os.path.join(self.tree, source) if source.startswith('kernel/') else source
        command = ['gcc', *PLAIN, *includes(self.tree), '-I.', '-Ivmm/include', *flags, '-o', out, own]
        if run(command, 600) != 0:
            raise RuntimeError('%s does not build' % source)
        return out

    def original(self, source, flags):
        key = source, ' '.join(flags)
        if key not in self.objects:
            out = os.path.join(self.place, '%d.o' % len(self.objects))
            self.objects[key] = self.compile(source, flags, out)
        return self.objects[key]

    def link(self, test, objects, flags, libs):
        program = os.path.abspath(os.path.join(self.place, 'test'))
        if run(['gcc', *flags, '-no-pie', '-o', program, *objects, '-lcmocka', *libs], 600) != 0:
            raise RuntimeError('%s does not link' % test)
        return program

    def may_take(self, test, sources, flags, libs):
        """CPU seconds for a test: five times what it takes when nothing is changed."""
        key = test, ' '.join(flags)
        if key not in self.seconds:
            program = self.link(test, [self.original(s, flags) for s in sources], flags, libs)
            before = os.times()
            if run([program], 3600) != 0:
                raise RuntimeError('%s fails with nothing changed' % test)
            after = os.times()
            took = after.children_user - before.children_user
            self.seconds[key] = 2 + math.ceil(5 * took)
        return self.seconds[key]

    def failing_test(self, mutant):
        """Name of the unit test that fails with a mutant, or None."""
        for build in BUILDS:
            changed = {}
            for test, sources, words in tests_of(mutant.name):
                libs = [f for f in words if f.startswith('-l')]
                flags = build + [f for f in words if not f.startswith('-l')]
                seconds = self.may_take(test, sources, flags, libs)
                objects = []
                for source in sources:
                    if source != mutant.path and not mutant.path.endswith('.h'):
                        objects.append(self.original(source, flags))
                        continue
                    key = source, ' '.join(flags)
                    if key not in changed:
                        out = os.path.join(self.place, 'changed%d.o' % len(changed))
                        mutant.put(self.tree)
                        try:
                            changed[key] = self.compile(source, flags, out)
                        finally:
                            mutant.take_out(self.tree)
                    objects.append(changed[key])
                program = self.link(test, objects, flags, libs)
                if run([program], 3600, seconds) != 0:
                    return os.path.basename(test)[:-2]
        return None

    def found_by_tests(self, mutant):
        texts = [prove.read(test) for test, _, _ in tests_of(mutant.name)]
        return KNOWN.once(digest('test', CORE_TEXT, mutant.key(), *texts), lambda: self.failing_test(mutant))

    def lost_goal(self, mutant):
        try:
            mutant.put(self.tree)
            return prove.first_open(mutant.name, 'build/proofs/cache', SECONDS, self.tree, mutant.function,
                                    PROOF_LIMIT_S)
        except TimeoutError:
            return 'UNFINISHED'
        finally:
            mutant.take_out(self.tree)

    def found_by_proof(self, mutant):
        """The first goal that is not proven with a mutant, or None."""
        key = digest('proof', CORE_TEXT, mutant.key(), SECONDS, str(PROOF_LIMIT_S))
        goal = KNOWN.once(key, lambda: self.lost_goal(mutant))
        mutant.unfinished = goal == 'UNFINISHED'
        return None if mutant.unfinished else goal


def chosen(have, only, each):
    """The mutants to look at, and the functions that have too few."""
    mutants, few = [], []
    tree = Tree('choice')
    out = os.path.join(tree.place, 'x.o')
    for name in sorted(f for f in os.listdir(prove.CORE) if f.endswith('.c')):
        original = compiled(tree.tree, name, out)
        for function, (first, last) in prove.own_functions(name).items():
            if function not in have or (only and name not in only and function not in only):
                continue
            path = os.path.join(prove.CORE, name)
            if function not in prove.functions(path):
                path = path[:-2] + '.h'
            count = 0
            for kind, line, text in spread(mutants_of(path, first, last), each):
                if count == each:
                    break
                mutant = Mutant(name, path, function, kind, line, text)
                mutant.put(tree.tree)
                code = compiled(tree.tree, name, out)
                # a static inline function of a header leaves no code here: taken as it is
                if code is not None and (code != original or path.endswith('.h')):
                    mutants.append(mutant)
                    count += 1
                mutant.take_out(tree.tree)
            if count < each:
                few.append('%s (%d)' % (function, count))
    return mutants, few


def shared(jobs, method, mutants, report):
    """Call a method of Tree for each mutant, a tree for each job."""
    trees = queue.SimpleQueue()
    for n in range(jobs):
        trees.put(TREES[n])

    def one(mutant):
        tree = trees.get()
        try:
            mutant.by = method(tree, mutant)
        finally:
            trees.put(tree)
        return mutant

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = [pool.submit(one, m) for m in mutants]
        for n, future in enumerate(concurrent.futures.as_completed(done)):
            report(future.result(), n + 1, len(mutants))


def main():
    global KNOWN, CORE_TEXT
    each, jobs, only = 3, 2, []
    for arg in sys.argv[1:]:
        if arg.startswith('--each='):
            each = int(arg[7:])
        elif arg.startswith('--jobs='):
            jobs = int(arg[7:])
        elif not arg.startswith('-'):
            only.append(arg)
    shutil.rmtree(BUILD, ignore_errors=True)
    os.makedirs(BUILD)
    have = prove.contracts()
    mutants, few = chosen(have, only, each)
    if '--list' in sys.argv:
        for m in mutants:
            print('%-24s %-10s %s' % (m.function, m.kind, m.text.strip()))
        return 0
    prove.config()
    prove.verdicts_unpack('build/proofs/cache', False)
    KNOWN = Found('--fresh' in sys.argv)
    CORE_TEXT = core_text()
    TREES.extend(Tree(n) for n in range(jobs))
    print('%d mutants of %d functions: unit tests' % (len(mutants), len({m.function for m in mutants})),
          flush=True)
    shared(jobs, Tree.found_by_tests, mutants, lambda m, n, total: m.by and m.report(n, total))
    left = [m for m in mutants if not m.by]
    tested = len(mutants) - len(left)
    print('%d found by unit tests; proofs of the others' % tested, flush=True)
    shared(jobs, Tree.found_by_proof, left, Mutant.report)
    survivors = sorted((m.function, m.text.strip()) for m in left if not m.by)
    for m in left:
        if m.unfinished:
            print('its proof did not end: %s: %s' % (m.function, m.text.strip()))
    for s in survivors:
        print('survived: %s: %s%s' % (*s, ' (%s)' % EQUIVALENT[s] if s in EQUIVALENT else ''))
    same = sum(1 for s in survivors if s in EQUIVALENT)
    if few:
        print('fewer than %d mutants possible: %s' % (each, ', '.join(few)))
    print('%d mutants of %d functions: %d found by unit tests, %d by a lost goal, %d mean the same, %d survived'
          % (len(mutants), len({m.function for m in mutants}), tested, len(left) - len(survivors), same,
             len(survivors) - same))
    return 1 if len(survivors) > same else 0


if __name__ == '__main__':
    sys.exit(main())
