"""Cuts a case down to what still shows its difference, and writes it as a shell script."""

import dataclasses
import time

import case as cases
from projects import quoted


class Shrinker:
    """`fails(case)` says whether a case still shows the difference."""

    def __init__(self, fails, seconds):
        self.fails = fails
        self.deadline = time.monotonic() + seconds

    def late(self):
        return time.monotonic() > self.deadline

    def shrink(self, case):
        case = self.without(case, len(case.steps), self.drop_steps)
        numbers = sorted({number for step in case.steps if isinstance(step, cases.Dockerfile) for number, _ in step.lines})
        case = self.without(case, len(numbers), lambda case, kept: self.drop_lines(case, {numbers[i] for i in kept}))
        case = self.drop_shell_lines(case)
        return self.without(case, len(case.steps), self.drop_steps)

    def without(self, case, count, keep):
        """Tries smaller and smaller parts to leave out (ddmin). `keep(case, indexes)` makes what is left of a case."""
        kept, size = list(range(count)), max(1, count // 2)
        while not self.late():
            before = len(kept)
            for start in range(len(kept) - size, -size, -size):
                part = kept[max(0, start):start + size]
                rest = [index for index in kept if index not in part]
                if not self.late() and part and self.fails(keep(case, rest)):
                    kept = rest
            if size == 1 and len(kept) == before:
                break
            size = max(1, size // 2)
        return keep(case, kept)

    @staticmethod
    def drop_steps(case, kept):
        return cases.Case(case.seed, [case.steps[index] for index in kept])

    @staticmethod
    def drop_lines(case, numbers):
        return cases.Case(case.seed, [
            cases.Dockerfile([line for line in step.lines if line[0] in numbers])
            if isinstance(step, cases.Dockerfile) else step for step in case.steps])

    def drop_shell_lines(self, case):
        for index, step in enumerate(case.steps):
            if not isinstance(step, cases.Shell):
                continue
            lines = step.text.split("\n")

            def keep(case, kept, index=index, lines=lines):
                steps = list(case.steps)
                steps[index] = dataclasses.replace(steps[index], text="\n".join(lines[i] for i in kept))
                return cases.Case(case.seed, steps)

            case = self.without(case, len(lines), keep)
        return case


HEAD = """#!/bin/bash
# A difference between a build in a state directory that others used before and one in a clean state (seed {seed}):
# {what}
# Run it as root from lade's sources: bash THIS build/lade. It leaves what it made in the directory that it names.
LADE=$(realpath "$1"); TOOLS=$PWD/tests/incremental; W=$(mktemp -d /tmp/lade-incremental-XXXXXX); cd "$W" || exit 1
umask 022; export C=$W/context COMMIT=$W/commit LC_ALL=C; D=$C PORT=$((20000 + RANDOM % 20000)); echo "in $W"
"$TOOLS/run" "$LADE" --prepare "$W/bases" && cp "$W/bases/commit" "$W/commit" || exit 1
python3 "$TOOLS/site_server.py" "$W" $PORT & SITE=$!; ssh-agent -D -a agent.sock >/dev/null & AGENT=$!
trap 'kill $SITE $AGENT; umount "$W/mounted" 2>/dev/null' EXIT
for state in state state2; do cp -a bases/template-0 $state; done; BASE=0
mkdir context other www repo; echo secret > secret
build() {{ # STATE EPOCH OUTPUT [OPTION]...
  state=$1 epoch=$2 output=$3; shift 3
  set -- build -f Dockerfile --build-context other=other --secret id=s,src=secret --ssh default=agent.sock "$@"
  if [ "$epoch" = 1 ]; then set -- "$@" --build-arg SOURCE_DATE_EPOCH={epoch}; output=$output,rewrite-timestamp=true; fi
  [ "$IMAGE" ] && image
  "$LADE" --root "$W/$state" "$@" -o "$output" "$D"
}}
by_daemon() {{ # STATE OUTPUT [--opt OPTION]...: the context is sent anew as a whole
  state=$1 output=$2; shift 2; [ "$IMAGE" ] && image
  rm -rf sent; mkdir sent; cp -a "$D" sent/context; cp Dockerfile Dockerfile.dockerignore sent 2>/dev/null
  find sent -exec touch -h {{}} +; "$LADE" daemon --root "$W/$state" --addr "unix://$W/d.sock" --config /dev/null & DAEMON=$!
  until [ -S d.sock ]; do sleep 0.1; done
  "$TOOLS/../../build/peers/buildctl" --addr "unix://$W/d.sock" build --frontend dockerfile.v0 --local context=sent/context \
    --local dockerfile=sent --local named-other=other --opt context:other=local:named-other --secret id=s,src=secret \
    --ssh default=agent.sock "$@" --output "$output,compression=uncompressed"
  kill $DAEMON; wait $DAEMON; rm -f d.sock; }}
image() {{ umount mounted 2>/dev/null; rm -f image.squashfs
  if [ "$PLACE" = erofs ]; then mkfs.erofs --quiet -T 1700000000 image.squashfs "$C"
  else mksquashfs "$C" image.squashfs -quiet -no-progress -mkfs-time 1700000000 -all-time 1700000000 >/dev/null; fi
  mount -o loop,ro image.squashfs mounted; }}
leave() {{ case $PLACE in ext4 | ext2 | vfat | tmpfs) rm -rf context; cp -a mounted context 2>/dev/null ;; moved) mv moved context ;; esac
  umount mounted 2>/dev/null; C=$W/context D=$W/context IMAGE= PLACE=; }}
enter() {{ leave; mkdir -p mounted; PLACE=$1
  case $1 in
    moved) mv context moved; C=$W/moved D=$W/moved ;;
    squashfs | erofs) D=$W/mounted IMAGE=1 ;;
    ext4 | ext2 | vfat | tmpfs) rm -f disk; truncate -s 16M disk
      case $1 in ext4) mke2fs -q -t ext4 -I 128 disk ;; ext2) mke2fs -q -t ext2 -I 256 disk ;; vfat) mkfs.vfat disk >/dev/null ;; esac
      if [ "$1" = tmpfs ]; then mount -t tmpfs tmpfs mounted; else mount -o loop disk mounted; fi; cp -a context/. mounted 2>/dev/null; C=$W/mounted D=$W/mounted ;;
  esac; }}
"""


def script_of(step, epoch):
    if isinstance(step, cases.Shell):
        return step.text
    if isinstance(step, cases.Dockerfile):
        return f"sed \"s,@URL@,http://127.0.0.1:$PORT,\" > Dockerfile <<'DOCKERFILE'\n{step.text}DOCKERFILE"
    if isinstance(step, cases.Base):
        return (f"BASE={step.number}; for state in state state2; do \"$LADE\" --root $W/$state load -q "
                f"-i bases/base-{step.number}.oci; done")
    if isinstance(step, cases.Place):
        return f"enter {step.name}"
    if isinstance(step, cases.Disturb):
        return {
            "kill": f"build state 0 type=oci,dest=killed.tar & sleep {0.5 * step.number ** 2:.3f}; kill -9 $!; wait $!",
            "prune": f"\"$LADE\" --root state prune {('-f', '-f --all', '-f --keep-storage 1mb')[int(step.number * 3)]}",
            "prune_meanwhile": "build state 0 type=cacheonly & \"$LADE\" --root state prune -f --all; wait $!",
            "share": "build {} 0 type=cacheonly --cache-to type=local,dest=cache,mode=max\n"
                     "build {} 0 type=cacheonly --cache-from type=local,src=cache".format(
                         *(("state", "state2") if step.number < 0.5 else ("state2", "state"))),
            "other_clock": f"LD_PRELOAD=$W/bases/clock.so INCREMENTAL_CLOCK={int((step.number - 0.5) * 4 * 86400)} "
                           "build state 0 type=cacheonly",
            "no_cache": "build state 0 type=cacheonly " + (
                "--no-cache" if step.number < 0.3 else f"--no-cache-filter s{int(step.number * 5) - 1}"),
        }[step.name]
    state, options = ("state", "state2")[step.machine - 1], " ".join(step.options + step.arguments).replace("@W@", "$W")
    if step.daemon and not step.epoch:
        pairs = zip(step.arguments[::2], step.arguments[1::2])
        options = " ".join("--opt " + (f"{name[2:]}={value}" if name == "--target" else f"{name[2:]}:{value}")
                           for name, value in pairs)
        return f"by_daemon {state} type=oci,dest=warm.tar {options}"
    preload = f"LD_PRELOAD=$W/bases/clock.so INCREMENTAL_CLOCK={step.clock} " if step.clock else ""
    twice = f"build {state} {int(step.epoch)} type=oci,dest=other.tar {options} & " if step.twice else ""
    return f"{twice}{preload}build {state} {int(step.epoch)} type=oci,dest=warm.tar {options}" + (" ; wait $!" if twice else "")


def script(case, what, epoch):
    """The case as a shell script that ends with a comparison."""
    lines = [HEAD.format(seed=case.seed, what=quoted(what.split("\n")[0]), epoch=epoch)]
    lines += [script_of(step, epoch) for step in case.steps]
    last = [step for step in case.steps if isinstance(step, cases.Build)]
    state = ("state", "state2")[last[-1].machine - 1] if last else "state"
    flag = int(last[-1].epoch) if last else 0
    arguments = " ".join(last[-1].arguments) if last else ""
    lines.append(f"echo '== again: all should be CACHED'; build {state} {flag} type=cacheonly {arguments}")
    lines.append(f"echo '== clean'; cp -a bases/template-$BASE clean; build clean {flag} type=oci,dest=clean.tar {arguments}")
    lines.append("python3 - \"$TOOLS\" {} <<'END'\nimport sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/../e2e']\n"
                 "import comparison\ncomparison.compare_images('warm.tar', 'clean.tar', {})\nprint('no difference')\nEND"
                 .format(flag, bool(flag)))
    return "\n".join(lines) + "\n"
