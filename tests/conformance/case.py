"""A case: a Dockerfile whose comment lines that start with "#:" say how it is built and what is expected.

    #: args NAME=VALUE ...      build arguments; {registry} and {http} stand for the addresses of the run's own
    #: target STAGE             #: platform OS/ARCH         #: network MODE        #: allow ENTITLEMENT
    #: label K=V ...            #: annotation K=V ...       #: hosts NAME=ADDRESS ...
    #: ulimit NAME=SOFT:HARD    #: shm-size BYTES           #: secret ID=TEXT ...
    #: named NAME=VALUE ...     named contexts: VALUE is a function of contexts.py, layout:BASE, or a URL
    #: remote KIND[SUFFIX]      the context with the Dockerfile in it is not a directory but what remote.py makes of it
    #: call METHOD              a subrequest, such as outline; the texts are compared, not images
    #: ssh ID ...               an agent with a key under each of these names
    #: context FUNCTION         of contexts.py, makes the context (default: named like the topic, else an empty one)
    #: file PATH TEXT           one more file of the context; \\n, \\t and \\\\ are escapes
    #: beside PATH TEXT         the same, in the Dockerfile's own directory
    #: mtimes GLOB ...          times of these paths are compared, too
    #: fails LINE REGEX         both must fail; lade names that line of the Dockerfile ("-": none), and says REGEX
    #: differs WHERE: WHY       differences that match the glob WHERE are meant

All of them are comments to the tools as well, so that a case can be built by hand.
"""

import dataclasses
import pathlib
import re
import shlex

CASES = pathlib.Path(__file__).resolve().parent / "cases"
_MAPS = ("args", "label", "annotation", "hosts", "ulimit", "secret", "named")
_WORDS = ("target", "platform", "network", "shm-size", "allow", "context", "remote", "call", "ssh")


class CaseError(Exception):
    """A case that is not written as it should be."""


@dataclasses.dataclass
class Case:
    name: str  # topic/case
    text: bytes  # the Dockerfile
    context: str = ""
    target: str = ""
    platform: str = ""
    network: str = ""
    shm_size: str = ""
    allow: str = ""
    remote: str = ""
    call: str = ""
    ssh: str = ""
    args: dict = dataclasses.field(default_factory=dict)
    label: dict = dataclasses.field(default_factory=dict)
    annotation: dict = dataclasses.field(default_factory=dict)
    hosts: dict = dataclasses.field(default_factory=dict)
    ulimit: dict = dataclasses.field(default_factory=dict)
    secret: dict = dataclasses.field(default_factory=dict)
    named: dict = dataclasses.field(default_factory=dict)
    file: dict = dataclasses.field(default_factory=dict)
    beside: dict = dataclasses.field(default_factory=dict)
    mtimes: list = dataclasses.field(default_factory=list)
    fails: re.Pattern | None = None
    line: int | None = None  # that the error names
    differs: dict = dataclasses.field(default_factory=dict)  # glob -> justification

    @property
    def topic(self):
        return self.name.split("/")[0]


def _unescape(text):
    return re.sub(r"\\([nrt\\])", lambda found: {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}[found[1]], text)


def _set(case, key, rest):
    if key in _MAPS:
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            getattr(case, key)[name] = _unescape(value)
    elif key in _WORDS:
        setattr(case, key.replace("-", "_"), rest)
    elif key in ("file", "beside"):
        path, _, text = rest.partition(" ")
        getattr(case, key)[path] = _unescape(text)
    elif key == "mtimes":
        case.mtimes += rest.split()
    elif key == "fails":
        line, _, pattern = rest.partition(" ")
        case.line, case.fails = (None if line == "-" else int(line)), re.compile(pattern)
    elif key == "differs":
        where, _, why = rest.partition(": ")
        if not why:
            raise CaseError(f"{case.name}: '#: differs {rest}' has no justification")
        case.differs[where] = why
    else:
        raise CaseError(f"{case.name}: unknown '#: {key}'")


def read_case(path):
    case = Case(str(path.relative_to(CASES)).removesuffix(".Dockerfile"), path.read_bytes())
    for line in case.text.decode("utf-8", "surrogateescape").splitlines():
        if found := re.match(r"#: (\S+) ?(.*)", line):
            try:
                _set(case, found[1], found[2].rstrip())
            except (ValueError, re.error) as error:
                raise CaseError(f"{case.name}: '{line}': {error}") from error
    return case


def read_cases():
    return [read_case(path) for path in sorted(CASES.glob("*/*.Dockerfile"))]
