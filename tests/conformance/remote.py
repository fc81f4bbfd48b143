"""Contexts that are no directories, made of a case's context and Dockerfile.

    git[#REF:SUBDIR | ?QUERY]   a repository with the branch `main` and the tag `v1`
    tar[.gz | .bz2 | .xz | .zst]    an archive from an HTTP server
    file                        the Dockerfile alone from an HTTP server
    stdin[.gz | ...]            lade reads the archive from standard input. Who uses BuildKit has a client (buildx) that serves such
                                an archive to it over HTTP, so that is what buildctl is told.
    stdin-file                  the same with the Dockerfile alone
"""

import dataclasses
import io
import pathlib
import re
import shutil
import subprocess
import tarfile

import support
from image import compress


@dataclasses.dataclass
class Remote:
    context: str  # what lade is told
    url: str  # what BuildKit is told
    stdin: pathlib.Path | None = None


def _git(directory, source):
    env = support.environment({"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                               "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null"})
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"], ["tag", "v1"]):
        subprocess.run(["git", "-C", source, *words], check=True, env=env, stdout=subprocess.DEVNULL)
    subprocess.run(["git", "clone", "-q", "--bare", source, directory], check=True, env=env, stderr=subprocess.DEVNULL)
    shutil.rmtree(source / ".git")


def _tar(path, source, kind):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for file in sorted(source.iterdir()):  # in PAX format BuildKit would not see that it is one
            tar.add(file, file.name)
    path.write_bytes(compress(data.getvalue(), kind) if kind else data.getvalue())


def make(kind, name, source, served, url):
    """`source` is a directory with context and Dockerfile, `served` the one that is at `url`."""
    what, suffix = re.fullmatch(r"(git|tar|file|stdin-file|stdin)(.*)", kind).groups()
    name = name.replace("/", "-")
    if what == "git":
        _git(served / f"{name}.git", source)
        return Remote(f"{url}/{name}.git{suffix}", f"{url}/{name}.git{suffix}")
    if what.endswith("file"):
        shutil.copy2(source / "Dockerfile", served / name)
    else:
        name += f".tar{suffix}"
        _tar(served / name, source, suffix.removeprefix("."))
    if what.startswith("stdin"):
        return Remote("-", f"{url}/{name}", served / name)
    return Remote(f"{url}/{name}", f"{url}/{name}")
