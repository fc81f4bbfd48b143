"""lade as an ordinary user, who exists, and has subordinate ids, only in the mounts of the process that calls enter()."""

import os
import pathlib
import shutil
import subprocess

import support

NAME, ID = "lade-tester", 4711
SUBORDINATE = (2_000_000, 65_536)  # first, count


def _place():
    return support.ROOT / "ordinary-user"


def _prepare():
    """What the user needs, once for all tests: the programs where anybody may execute them, and the files to be bound."""
    place = _place()
    with support.locked("ordinary-user"):
        if place.exists():
            return
        making = support.ROOT / "ordinary-user.making"
        making.mkdir()
        for program in ("lade", "lade-daemon"):
            source = pathlib.Path(support.LADE).with_name(program)
            if source.exists():
                shutil.copy(source, making / f"{program}-itself" if program == "lade" else making / program)
        passwd = pathlib.Path("/etc/passwd").read_text()
        (making / "passwd").write_text(f"{passwd}{NAME}:x:{ID}:{ID}::{support.ROOT}:/bin/sh\n")
        granted = f"{NAME}:{SUBORDINATE[0]}:{SUBORDINATE[1]}\n"
        (making / "subuid").write_text(granted)
        (making / "subgid").write_text(granted)
        (making / "none").write_text("")
        program = making / "lade"
        program.write_text("#!/bin/sh\nexec setpriv --reuid {0} --regid {0} --clear-groups -- {1}/lade-itself \"$@\"\n"
                           .format(ID, place))
        program.chmod(0o755)
        making.rename(place)


def enter(subordinate=True):
    """From now on support's lade is that user's; what enter() has mounted, as leave() wants it."""
    _prepare()
    place = _place()
    mounts = []
    for file in ("passwd", "subuid", "subgid"):
        source = place / (file if subordinate or file == "passwd" else "none")
        subprocess.run(["mount", "--bind", source, f"/etc/{file}"], check=True)
        mounts.append(f"/etc/{file}")
    # Anybody may open it on machines that have udev.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", "/dev/net"], check=True)
    mounts.append("/dev/net")
    os.mknod("/dev/net/tun", 0o020666, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)
    support.LADE, support.USER = str(place / "lade"), ID
    return mounts


def leave(mounts):
    for mount in reversed(mounts):
        subprocess.run(["umount", mount], check=True)
