"""What a page of the documentation tells people to type, and what it says that comes of it.

Blocks that are indented by four spaces, and fenced ones of "sh" or "console", are commands. With "$ " in front of the
commands what stands between them is their output, "..." for more of it. Fenced blocks of other languages are something else; they must say of which.
HTML comments before a block are for the test:

    <!-- docs-setup
    COMMANDS
    -->                        run first: files, images, and whatever else the page takes for granted
    <!-- docs-skip: REASON --> the next block is not run
    <!-- docs-exit: 1 -->      the next block's last command ends with this code
"""

import dataclasses
import re

COMMANDS = ("sh", "console", "")


@dataclasses.dataclass
class Command:
    line: int
    text: str
    output: list = None  # lines that the page shows; None: it says nothing
    code: int = 0


@dataclasses.dataclass
class Block:
    line: int
    commands: list
    skip: str = ""
    setup: bool = False


class PageError(Exception):
    """The page cannot be read as one: where, and what to do."""


def blocks(text, name="page"):
    """The blocks of a page that hold commands, in order."""
    lines = text.splitlines()
    out, skip, code, at = [], "", 0, 0
    while at < len(lines):
        line = lines[at]
        number = at + 1
        if line.startswith("<!-- docs-setup"):
            end = next((i for i in range(at, len(lines)) if lines[i].rstrip().endswith("-->")), None)
            if end is None:
                raise PageError(f"{name}:{number}: the comment does not end")
            body = "\n".join(lines[at + 1:end])
            out.append(Block(number, [Command(number + 1, body)], setup=True))
            at = end + 1
            continue
        if found := re.fullmatch(r"<!-- docs-skip: (.+) -->", line):
            skip = found[1]
        elif found := re.fullmatch(r"<!-- docs-exit: (\d+) -->", line):
            code = int(found[1])
        elif line.startswith("<!-- docs-"):
            raise PageError(f"{name}:{number}: there is no {line}")
        body, end = None, at + 1
        if line.startswith("```"):
            language = line[3:].strip()
            end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("```")), None)
            if end is None:
                raise PageError(f"{name}:{number}: the block does not end")
            if not language:
                raise PageError(f"{name}:{number}: a fenced block says of which language it is")
            body = lines[at + 1:end] if language in COMMANDS else None
            first, end = number + 1, end + 1
        elif line.startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            body = [one[4:] for one in lines[at:end]]
            while not body[-1].strip():
                body.pop()
            first = number
        if body is not None:
            commands = read_commands(body, first)
            commands[-1].code = code
            out.append(Block(number, commands, skip))
            skip, code = "", 0
        at = end
    if skip or code:
        raise PageError(f"{name}: a docs-skip or docs-exit has no block behind it")
    return out


def read_commands(lines, first):
    """Commands of one block, each with its output where it shows any."""
    with_output = any(line.startswith("$ ") for line in lines)
    out, continued = [], False
    for number, line in enumerate(lines, first):
        if continued:
            out[-1].text += "\n" + line
        elif with_output and not line.startswith("$ "):
            if not out:
                raise PageError(f"line {number}: output without a command")
            out[-1].output = (out[-1].output or []) + [line]
            continue
        elif line.strip():
            out.append(Command(number, line[2:] if with_output else line))
        else:
            continue
        continued = line.rstrip().endswith("\\")
    return out


def normal(line):
    """A line of output without what differs from run to run and machine to machine."""
    line = re.sub(r"\b[0-9a-f]{12,64}\b", "HEX", line)
    line = re.sub(r"\b(\d+|an?|About an?|Less than a) (second|minute|hour|day|week)s?( ago)?\b", "AGO", line)
    line = re.sub(r"\b\d+(\.\d+)?\s?(B|kB|MB|GB)\b", "SIZE", line)
    line = re.sub(r"\(\d+%\)", "(PART)", line)
    return " ".join(line.split())


def missing(shown, output):
    """The first line that the page shows and the output does not have, in order; None if there is none. Between
    them nothing else may stand, but where the page has "..."."""
    have = [normal(line) for line in output.splitlines() if line.strip()]
    at, anywhere = 0, False
    for line in shown:
        if line.strip() == "...":
            anywhere = True
            continue
        want = normal(line)
        if not want:
            continue
        places = range(at, len(have)) if anywhere else range(at, min(at + 1, len(have)))
        found = next((i for i in places if have[i] == want), None)
        if found is None:
            return line
        at, anywhere = found + 1, False
    return None if anywhere or at == len(have) else f"(nothing more than: {have[at]})"
