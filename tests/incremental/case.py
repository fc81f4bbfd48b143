"""A case: what is done to a project, as steps that can be done again, and again without some of them.

Everything that changes files is shell, so that a case is a script. Steps run in the workspace's directory, where

    context/  the build context ($C; where it lies on another file system this is what that is made of)
    other/    a named context
    www/      files of the web server, repo/ what its git repository is made of
    secret    what --mount=type=secret shows
    state/    the state directory that all builds of the case share, state2/ another machine's
"""

import dataclasses


@dataclasses.dataclass
class Shell:
    """Changes files. Commands that fail are passed over: they do on file systems that lack what they ask for."""

    text: str
    neutral: bool = False  # changes nothing that a build depends on


@dataclasses.dataclass
class Dockerfile:
    """Instructions as (number, text): an instruction keeps its number through edits, so that shrinking takes it out
    everywhere."""

    lines: list

    @property
    def text(self):
        return "".join(text.rstrip("\n") + "\n" for _, text in self.lines)

    def without_line(self, number):
        """Without the instruction that line `number` belongs to, unless that is a FROM."""
        at = 0
        for index, (_, text) in enumerate(self.lines):
            at += len(text.rstrip("\n").split("\n"))
            if at >= number:
                return self if text.startswith("FROM") else Dockerfile(self.lines[:index] + self.lines[index + 1:])
        return self


@dataclasses.dataclass
class Base:
    """Another image under the name that all stages start from."""

    number: int


@dataclasses.dataclass
class Place:
    """Where the context lies from now on: one of building.PLACES."""

    name: str


@dataclasses.dataclass
class Disturb:
    """One of disturbances.KINDS, in numbers that were drawn."""

    name: str
    number: float = 0.0


@dataclasses.dataclass
class Build:
    """Builds in the shared state, and in a new one, and compares."""

    options: tuple = ()  # of lade build, which change nothing of what is built
    arguments: tuple = ()  # others
    epoch: bool = False
    clock: int = 0  # seconds that the builder's clock is wrong by
    machine: int = 1  # whose state directory: 1 or 2
    twice: bool = False  # two at once
    daemon: bool = False  # by BuildKit's client and lade's daemon, where there are both
    buildkit: bool = False  # and compared with what BuildKit makes


@dataclasses.dataclass
class Case:
    seed: int
    steps: list
