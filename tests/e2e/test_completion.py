"""What shells offer in command lines of lade's, by the scripts of `lade completion`."""

import os
import pathlib
import shutil
import subprocess
import unittest

import support
from support import LadeTest

DOCKERFILE = "ARG VERSION=1\nFROM scratch AS build\nCOPY f /\nFROM build AS test\n"

BASH = """
source <("$LADE" completion bash)
compopt() { :; }
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "$2"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_lade
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What zsh's own functions would be handed.
ZSH = """
compdef() { :; }
_files() { print -r -- "files $*"; }
_describe() { local -a found; found=("${(@P)3}"); print -rl -- "${found[@]}" "$@[4,-1]"; }
source <(lade completion zsh)
words=("$@") CURRENT=$# PREFIX=$@[-1]
_lade
"""


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"needs {program}")


class Completion(LadeTest):
    def setUp(self):
        super().setUp()
        self.write({"Dockerfile": DOCKERFILE, "f": "f"})
        self.bin = self.ws.dir / "bin"
        self.bin.mkdir()
        (self.bin / "lade").symlink_to(support.LADE)
        self.environment = dict(os.environ, LADE=str(support.LADE), LADE_ROOT=str(self.ws.state),
                                PATH=f"{self.bin}:{os.environ['PATH']}")

    def shell(self, *command):
        result = subprocess.run(command, cwd=self.ws.context, env=self.environment, text=True, capture_output=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def bash(self, line, words=None):
        """`words`: the line as bash cuts it, at = and :, too."""
        return self.shell("bash", "-c", BASH.replace("<(\"$LADE\"", "<(lade"), "bash", line, words or line).split()

    def test_bash_completes_commands_options_and_values(self):
        self.assertEqual(self.bash("lade expl"), ["explain"])
        self.assertEqual(self.bash("lade build --targ"), ["--target"])
        self.assertEqual(self.bash("lade build --target "), ["build", "test"])
        self.assertEqual(self.bash("lade build --build-arg V"), ["VERSION="])

    def test_bash_replaces_what_stands_behind_an_equals_sign_alone(self):
        self.assertEqual(self.bash("lade build --target=te", "lade build --target = te"), ["test"])
        self.assertEqual(self.bash("lade build --target=", "lade build --target ="), ["build", "test"])

    def test_bash_completes_paths(self):
        (self.ws.context / "sub").mkdir()
        self.assertEqual(self.bash("lade build s"), ["sub"])
        self.assertEqual(self.bash("lade build -f Do"), ["Dockerfile"])

    def test_bash_completes_images(self):
        self.build(None, "-t", "registry.example:5000/team/app:1", "-t", "other")
        self.assertEqual(self.bash("lade rmi oth"), ["other:latest"])
        self.assertEqual(self.bash("lade run registry.example:50", "lade run registry.example : 50"), ["5000/team/app:1"])

    def zsh(self, *words):
        return self.shell("zsh", "-f", "-c", ZSH, "zsh", *words).splitlines()

    @needs("fish")
    def test_fish(self):
        script = 'lade completion fish | source; complete -C "$argv[1]"'
        home = self.ws.dir / "home"
        home.mkdir()
        self.environment["HOME"] = str(home)
        said = self.shell("fish", "-c", script, "--", "lade build --target ").splitlines()
        self.assertEqual([line.split("\t")[0] for line in said], ["build", "test"])
        self.assertIn("explain\tSay why", self.shell("fish", "-c", script, "--", "lade expl"))

    @needs("zsh")
    def test_zsh(self):
        self.assertEqual(self.zsh("lade", "build", "--target=te"), ["--target=test"])
        self.assertEqual(self.zsh("lade", "expl"), ["explain:Say why the steps of the last build were cached or ran"])
        self.assertEqual(self.zsh("lade", "build", "--build-arg", ""), ["VERSION=", "-S", ""])
        self.assertEqual(self.zsh("lade", "build", "-f", ""), ["files "])
        self.assertEqual(self.zsh("lade", "build", ""), ["files -/"])


class ManPages(LadeTest):
    @needs("groff")
    def test_each_command_has_one_that_troff_takes_without_complaint(self):
        pages = self.ws.dir / "pages"
        pages.mkdir()
        self.ws.lade("__man-pages", str(pages))
        names = {path.name for path in pages.iterdir()}
        self.assertLessEqual({"lade.1", "lade-build.1", "lade-run.1", "lade-manifest-create.1"}, names)
        self.assertFalse({name for name in names if "__" in name})
        daemon = subprocess.run([pathlib.Path(support.LADE).parent / "lade-daemon", "--man-page"], text=True,
                                capture_output=True, check=True)
        (pages / "lade-daemon.8").write_text(daemon.stdout)
        for page in sorted(pages.iterdir()):
            shown = subprocess.run(["groff", "-man", "-Tutf8", "-wall", "-z", str(page)], text=True, capture_output=True,
                                   check=False)
            self.assertEqual((shown.returncode, shown.stderr), (0, ""), page.name)

    def test_a_page_has_each_option_of_help(self):
        pages = self.ws.dir / "pages"
        pages.mkdir()
        self.ws.lade("__man-pages", str(pages))
        page = (pages / "lade-build.1").read_text().replace("\\-", "-")
        for line in self.ws.lade("build", "--help").stdout.splitlines():
            for word in line.split("  ")[0:3]:
                for name in word.replace(",", " ").split():
                    if name.startswith("--") and line.startswith("  "):
                        self.assertIn(name.split("[")[0].split("=")[0], page)
