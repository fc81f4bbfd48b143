#!/usr/bin/env python3
"""Fails when a source file includes a folder that docs/ARCHITECTURE.md's arrows do not allow.

The arrows are those of the CMake targets; they are repeated here because a target that is linked for
one file would silently allow the include for all of its folder. The most specific rule for a path wins.
"""
import pathlib
import re
import sys

# prefix of a file or an include -> name of the part of the house
PARTS = {
    "base/": "base",
    "parser/": "parser",
    "snapshotter/content/": "content",
    "snapshotter/": "snapshotter",
    "registry/": "registry",
    "solver/executor/": "executor",
    "solver/definition": "definition",
    "solver/record": "definition",
    "solver/lower": "lower",
    "solver/": "solver",
    "exporter/": "exporter",
    "recipe/": "recipe",
    "daemon/": "daemon",
    "app/": "app",
}

# what each part may include besides itself; arrows are transitive by being written out
ALLOWED = {
    "base": set(),
    "parser": {"base"},
    "content": {"base"},
    "definition": {"base"},
    "executor": {"base"},
    "snapshotter": {"base", "content"},
    "registry": {"base", "content"},
    "lower": {"base", "parser", "content", "definition"},
    "exporter": {"base", "content", "snapshotter", "registry", "definition"},
    "solver": {"base", "parser", "content", "definition", "executor", "snapshotter", "registry", "lower"},
    "recipe": set(PARTS.values()) - {"app", "daemon"},
    "daemon": set(PARTS.values()) - {"app"},
    # gRPC takes longer to load than a cached build: it stays out of the command line's program
    "app": set(PARTS.values()) - {"daemon"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def part_of(path):
    matches = [prefix for prefix in PARTS if path.startswith(prefix)]
    return PARTS[max(matches, key=len)] if matches else None


def problems(root):
    for file in sorted(root.rglob("*.[ch]pp")):
        name = file.relative_to(root).as_posix()
        part = part_of(name)
        if part is None:  # tests and benchmarks may include everything
            continue
        for include in INCLUDE.findall(file.read_text()):
            target = part_of(include)
            if target is None:
                yield f"{name}: include {include!r} is not relative to the project's root"
            elif target != part and target not in ALLOWED[part]:
                yield f"{name}: {part} may not include {target} ({include})"


def main():
    root = pathlib.Path(sys.argv[1])
    found = list(problems(root))
    print("\n".join(found) if found else "all includes follow the arrows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
