"""What happens to a state directory between builds, and may change nothing of what they make."""

import time

from case import Build


def kill(workspace, number):
    """A build that is ended by SIGKILL, at any moment of the first half second or so."""
    process = workspace.spawn(*workspace.build_arguments(Build(), workspace.dir / "killed.tar"))
    time.sleep(0.5 * number * number)
    process.kill()
    workspace.finish(process)


def prune(workspace, number):
    how = (["-f"], ["-f", "--all"], ["-f", "--keep-storage", "1mb"])[int(number * 3)]
    workspace.lade("prune", *how)


def prune_meanwhile(workspace, number):
    process = workspace.spawn(*workspace.build_arguments(Build(), None))
    time.sleep(0.3 * number)
    workspace.lade("prune", "-f", "--all")
    workspace.finish(process)


def share(workspace, number):
    """Another machine gets what is cached here, or the other way about, as far as this project goes."""
    from_, to = ("state", "state2") if number < 0.5 else ("state2", "state")
    cache = workspace.dir / "cache"
    arguments = workspace.build_arguments(Build(), None)
    workspace.lade(*arguments[:1], "--cache-to", f"type=local,dest={cache},mode=max", *arguments[1:], state=from_)
    workspace.lade(*arguments[:1], "--cache-from", f"type=local,src={cache}", *arguments[1:], state=to)


def other_clock(workspace, number):
    """A build by a clock that is up to two days wrong."""
    arguments = workspace.build_arguments(Build(), None)
    workspace.lade(*arguments, clock=int((number - 0.5) * 4 * 86400))


def no_cache(workspace, number):
    """A build that runs steps whose results are there: all, or those of a stage."""
    flags = ["--no-cache"] if number < 0.3 else ["--no-cache-filter", f"s{int(number * 5) - 1}"]
    arguments = workspace.build_arguments(Build(), None)
    workspace.lade(*arguments[:1], *flags, *arguments[1:])


KINDS = {function.__name__: function for function in (kill, prune, prune_meanwhile, share, other_clock, no_cache)}
