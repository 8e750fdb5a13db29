#!/usr/bin/python3
"""Check the models tests/models/*.pml with Spin: each holds, and each line it rests on is needed.

usage: check.py [--jobs=N] [model ...]

A model's first comment says what it models ("After file (function, ...)"), what holds, and one line
"KNOCK NAME  what is left out" per knock-out, which the text has as `#ifdef KNOCK_NAME`. The model is
checked as it is and once with each of them. It must hold in a full search that was not cut short; with
a knock-out an assertion or an end state must fail, with a trail. The functions that the comment names
must exist. Exit status 0 only if all that is so. Trails stay in build/models.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

FOLDER = "tests/models"
OUT = "build/models"
DEPTH = 1000000
SOURCES = ("kernel/object", "kernel/core", "kernel/arch/x86", "vmm/root")
LIMIT_S = 300


class Model:
    """A model as its file describes it."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[:-4]
        with open(path, encoding="ascii") as f:
            text = f.read()
        self.comment = text[:text.index("*/")]
        self.knocks = re.findall(r"^ \* KNOCK (\w+)\s+(.*)$", self.comment, re.M)
        self.used = set(re.findall(r"\bKNOCK_(\w+)", text))
        self.plain = re.sub(r"\s*\n \*\s*", " ", self.comment)
        self.title = self.plain.lstrip("/* ").partition(". After ")[0]

    def faults(self, known):
        """What is wrong with the description itself."""
        named = {name for name, _ in self.knocks}
        if not named or named != self.used:
            yield f"knock-outs of comment and text differ: {sorted(named ^ self.used)}"
        after = re.search(r"\bAfter\s+(.*?)\n \*\n", self.comment, re.S)
        cited = set(re.findall(r"\b([a-z]\w*_\w+|\w+)\(\)", self.comment))
        if after:
            for group in re.findall(r"\(([^()]*)\)", after.group(1)):
                cited |= {word for word in re.findall(r"\b[a-z]\w*", group.partition(":")[2] or group)
                          if "_" in word}
        else:
            yield "the comment does not say which code it models"
        for name in sorted(cited - known):
            yield f"no function {name} in the sources"


def functions():
    """Names that are followed by a parenthesis, or are labels, anywhere in the modelled sources."""
    names = set()
    for folder in SOURCES:
        for place, _, files in os.walk(folder):
            for file in files:
                if file.endswith((".c", ".h", ".S")):
                    with open(os.path.join(place, file), encoding="utf-8") as f:
                        text = f.read()
                    names |= set(re.findall(r"\b([A-Za-z_]\w*)\(", text))
                    names |= set(re.findall(r"^(\w+):", text, re.M))
    return names


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found.group(1))) if found else 0


def search(model, knock):
    """One search: (fault or None, why it failed, states, depth, seconds)."""
    place = os.path.join(OUT, f"{model.name}-{knock}" if knock else model.name)
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    shutil.copy(model.path, place)
    file = os.path.basename(model.path)
    begun = time.monotonic()
    run = {"cwd": place, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True,
           "check": False}
    for command in (["spin", *([f"-DKNOCK_{knock}"] if knock else []), "-a", file],
                    ["gcc", "-O0" if knock else "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-o", "pan", "pan.c"]):
        done = subprocess.run(command, **run)
        if done.returncode:
            return f"{command[0]}: {done.stdout.strip()}", "", 0, 0, 0
    try:
        text = subprocess.run(["./pan", f"-m{DEPTH}"], timeout=LIMIT_S, **run).stdout
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT_S} s", "", 0, 0, LIMIT_S
    with open(os.path.join(place, "pan.out"), "w", encoding="utf-8") as f:
        f.write(text)
    errors = re.search(r"errors: (\d+)", text)
    why = re.search(r"^pan:\d+: (.*?) \(at depth", text, re.M)
    why = why.group(1) if why else ""
    fault = None
    if not errors or "Full statespace search" not in text or "too small" in text:
        fault = "the search was cut short: " + text[-300:]
    elif not knock and (errors.group(1) != "0" or "not completed" in text):
        fault = f"does not hold: {why}"
    elif knock and (errors.group(1) == "0" or not os.path.exists(os.path.join(place, file + ".trail"))):
        fault = "holds without that line"
    elif knock and not why.startswith(("assertion violated", "invalid end state")):
        fault = f"fails for another reason: {why}"
    return (fault, why, number(r"([\d.e+]+) states, stored", text), number(r"depth reached (\d+)", text),
            time.monotonic() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("model", nargs="*")
    args = parser.parse_args()
    chosen = [Model(os.path.join(FOLDER, file)) for file in sorted(os.listdir(FOLDER))
              if file.endswith(".pml") and (not args.model or file[:-4] in args.model)]
    if not chosen:
        sys.exit(f"models: none of {args.model} in {FOLDER}")
    known, bad, held, failed = functions(), [], 0, 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        searches = {(m, k): pool.submit(search, m, k) for m in chosen for k in ["", *dict(m.knocks)]}
        for model in chosen:
            bad += [f"{model.name}: {fault}" for fault in model.faults(known)]
            print(f"{model.name}: {model.title}")
            for knock, what in [("", "as it is"), *model.knocks]:
                fault, why, states, depth, seconds = searches[model, knock].result()
                verdict = "WRONG" if fault else "fails" if knock else "holds"
                print(f"  {verdict}  {knock or '-':8} {states:9,} states, depth {depth:4}, "
                      f"{seconds:5.1f} s  {what}", flush=True)
                if fault:
                    bad.append(f"{model.name} {knock}: {fault}")
                held += not fault and not knock
                failed += not fault and bool(knock)
                if knock and not fault:
                    print(f"         {why[:100]}")
    for line in bad:
        print("models:", line)
    print(f"models: {held} of {len(chosen)} hold, {failed} of {sum(len(m.knocks) for m in chosen)} "
          "knock-outs fail")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
