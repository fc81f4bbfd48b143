#!/usr/bin/env python3
"""Fails where the sources do not keep to docs/ARCHITECTURE.md's arrows.

Folders: each may include itself and the folders that FOLDERS names for it. The arrows are those of the CMake targets;
they are repeated here because a target that is linked for one file would silently allow the include for all of its
folder, and for all that link it.

Units (a .hpp and its .cpp): within a folder none may, directly or through others, include itself.
"""
import pathlib
import re
import sys

SNAPSHOTTER = "snapshotter snapshotter/content snapshotter/images snapshotter/layers snapshotter/tree"
REGISTRY = "registry registry/auth registry/net"

# what the files of each folder may include, besides each other
FOLDERS = {
    "base": "",
    "base/json": "base",
    "parser": "base",
    # layers, bottom up; images by name; the state directory, which has all of it; its collection
    "snapshotter/content": "base base/json",
    "snapshotter/tree": "base",
    "snapshotter/tar": "base snapshotter/content snapshotter/tree",
    "snapshotter/layers": "base snapshotter/content snapshotter/tar snapshotter/tree",
    "snapshotter/images": "base base/json snapshotter/content snapshotter/layers snapshotter/tar",
    "snapshotter": "base snapshotter/content snapshotter/images snapshotter/layers",
    "snapshotter/gc": f"base {SNAPSHOTTER}",
    "registry/net": "base base/json",
    "registry/auth": "base base/json registry/net snapshotter/content",
    "registry": "base base/json registry/auth registry/net snapshotter/content",
    "registry/s3": f"base {REGISTRY} snapshotter/content",
    "solver/graph": "base",
    "solver/lower": "base parser snapshotter/content solver/graph",
    # the sandbox
    "solver/executor/cgroup": "base",
    "solver/executor/network": "base",
    "solver/executor/child": "base solver/executor/cgroup solver/executor/network",
    "solver/executor": "base solver/executor/cgroup solver/executor/child solver/executor/network",
    "solver/ops": f"base registry {SNAPSHOTTER} snapshotter/tar solver/executor solver/executor/network solver/graph",
    "solver/source": f"base {REGISTRY} {SNAPSHOTTER} solver/graph solver/lower solver/ops",
    "solver/cache": f"base registry {SNAPSHOTTER} snapshotter/gc solver/graph solver/source",
    "solver": f"base {SNAPSHOTTER} solver/cache solver/executor solver/graph solver/ops solver/source",
    "exporter": f"base base/json {REGISTRY} {SNAPSHOTTER} snapshotter/tar solver/graph",
    # the build, for both programs
    "builder/options": "base exporter parser registry/s3 snapshotter/content snapshotter/gc solver/graph solver/lower"
                       " solver/ops solver/source",
    "builder/report": "base parser solver/lower",
    "builder": "base base/json builder/options exporter parser registry snapshotter/content solver solver/cache"
               " solver/lower solver/source",
    "builder/attest": "base base/json builder builder/options exporter parser snapshotter/content solver/graph"
                      " solver/lower",
}

# The programs' rooms may include all of those, and of their own program's these. Nothing of daemon/ is in app/: gRPC
# takes longer to load than a cached build.
PROGRAMS = {
    "app/ui": "",
    "app/image": "app/ui",
    "app/run": "app/ui",
    "app/build": "app/image app/ui",
    "app": "app/build app/image app/run app/ui",
    "daemon/session": "daemon/proto",
    "daemon/job": "daemon/proto daemon/session",
    "daemon/llb": "daemon/job daemon/proto",
    "daemon/container": "daemon/job daemon/proto",
    "daemon/build": "daemon/container daemon/job daemon/llb daemon/proto",
    "daemon/server": "daemon/build daemon/container daemon/job daemon/llb daemon/proto daemon/session",
}

# May include everything.
FREE = ("tests/", "bench/")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def allowed():
    table = {folder: set(names.split()) for folder, names in FOLDERS.items()}
    for folder, names in PROGRAMS.items():
        table[folder] = set(FOLDERS) | set(names.split())
    return table


def folder_of(path):
    return path.rpartition("/")[0]


def cycles(graph):
    """Sets of nodes that reach each other (Tarjan's algorithm, as its recursion says it)."""
    number, low, stack, found = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            members = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def problems(root):
    table = allowed()
    units = {}
    for file in sorted(root.rglob("*.[ch]pp")):
        name = file.relative_to(root).as_posix()
        if name.startswith(FREE) or name.startswith("build/"):
            continue
        folder, unit = folder_of(name), name.rpartition(".")[0]
        if folder not in table:
            yield f"{name}: tests/layering knows no folder {folder}"
            continue
        for include in INCLUDE.findall(file.read_text()):
            target = folder_of(include)
            if "/" not in include or (target not in table and target != "daemon/proto"):
                yield f"{name}: include {include!r} is not relative to the project's root"
            elif target == folder:
                units.setdefault(unit, set()).add(include.rpartition(".")[0])
            elif target not in table[folder]:
                yield f"{name}: {folder} may not include {target} ({include})"
    for members in cycles({unit: others - {unit} for unit, others in units.items()}):
        yield f"{folder_of(members[0])}: these include each other: " + ", ".join(pathlib.PurePath(m).name for m in members)


def main():
    folders = cycles(allowed())
    if folders:
        sys.exit(f"the table itself has cycles: {folders}")
    found = list(problems(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "all includes follow the arrows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
