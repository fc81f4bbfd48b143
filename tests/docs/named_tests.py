#!/usr/bin/env python3
"""Fails when a page names a test that is not there: a claim whose test was renamed or removed has none.

Pages name tests as `test_module`, `test_module.Class`, `test_module.Class.test_that_something_holds`,
`test_that_something_holds`, `SuiteTest` or `SuiteTest.ThatSomethingHolds`.
"""
import pathlib
import re
import sys

UNIT_TEST = re.compile(r"\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)|\bTYPED_TEST\(\s*(\w+),\s*(\w+)\)")
NAMED = re.compile(r"`((?:test_\w+|[A-Z]\w*Test)(?:\.\w+)*)(?:\.\*)?`")


def known_names(root):
    names = set()
    for source in (root / "tests").rglob("*.cpp"):
        for found in UNIT_TEST.finditer(source.read_text()):
            suite, test = (part for part in found.groups() if part)
            names |= {suite, test, f"{suite}.{test}"}
    for source in root.glob("tests/e2e/test_*.py"):
        names.add(source.stem)
        cls = None
        for line in source.read_text().splitlines():
            if found := re.match(r"class (\w+)", line):
                cls = found[1]
                names |= {cls, f"{source.stem}.{cls}"}
            elif (found := re.match(r"    def (test_\w+)", line)) and cls:
                names |= {found[1], f"{cls}.{found[1]}", f"{source.stem}.{cls}.{found[1]}"}
    programs = re.findall(r"lade_test\((\w+)", (root / "tests/CMakeLists.txt").read_text())
    names |= {f"test_{program}" for program in programs}
    return names


def main():
    root = pathlib.Path(sys.argv[1])
    known = known_names(root)
    missing, named = [], 0
    for page in sorted(root.glob("*.md")) + sorted(root.glob("docs/*.md")):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for found in NAMED.finditer(line):
                named += 1
                if found[1] not in known:
                    missing.append(f"{page.relative_to(root)}:{number}: there is no test {found[1]}")
    print("\n".join(missing) if missing else f"all {named} tests that the pages name are there")
    return 1 if missing or named == 0 else 0


sys.exit(main())
