"""A build after other builds gives what a build from nothing gives."""

import hashlib
import os
import re

from image import Image
from support import LadeTest


def look(tree):
    """All of a tree but its times: path -> what is there, and which paths are links of one file."""
    def data(entry):
        return entry.data if len(entry.data) < 200 else hashlib.sha256(entry.data).hexdigest()

    files = {path: (entry.type, oct(entry.mode), entry.owner, entry.target, data(entry), entry.device,
                    sorted(entry.xattrs.items())) for path, entry in tree.items()}
    groups = {}
    for path, entry in tree.items():
        if entry.type != "dir":
            groups.setdefault(entry.inode, set()).add(path)
    return files, sorted(sorted(group) for group in groups.values() if len(group) > 1)


class IncrementalTest(LadeTest):
    """Builds in `state`, each also in a state directory of its own."""

    def setUp(self):
        super().setUp()
        self.builds = 0

    def build_twice(self, dockerfile=None, *args, **run):
        """Returns the tree and the steps that ran, after comparing with a clean build's tree."""
        self.builds += 1
        name = f"{self.builds}.tar"
        warm = self.image(dockerfile, *args, name=name, **run).tree()
        result = self.ws.transcript[-1]
        clean = self.ws.new_state(self.base, f"state-{self.builds}")
        cold = self.image(None, *args, name=f"clean-{name}", state=clean, **run).tree()
        self.assertEqual(look(warm), look(cold), str(result))
        return warm, [re.sub(r"^\[[^]]*\] ", "", step) for step in result.ran]


class MountedDirectories(IncrementalTest):
    """The directory that a mount shows is a part of what the step reads: its owner and mode, too."""

    def check(self, before, after, mount, path="d"):
        """Of two ways to make the directory in stage a, and a step that copies what it mounts."""
        text = ("FROM busybox AS a\nRUN mkdir /d && echo hi > /d/f && {}\n"
                "FROM busybox\n"
                f"RUN --mount={mount},target=/m cp -a /m /o && stat -c '%a %u %g' /m > /look\n")
        self.build_twice(text.format(before))
        tree, ran = self.build_twice(text.format(after))
        self.assertEqual(len(ran), 2)
        # And what differs in nothing that is seen is not run again.
        tree, ran = self.build_twice(text.format(after + " && true"))
        self.assertEqual(len(ran), 1)
        return tree

    def test_the_mode_of_a_mounted_directory_counts(self):
        tree = self.check("chmod 755 /d", "chmod 700 /d", "type=bind,from=a,source=/d")
        self.assertEqual(tree["look"].text, "700 0 0\n")
        self.assertEqual(tree["o"].mode, 0o700)

    def test_its_owner_counts(self):
        tree = self.check("true", "chown 12:34 /d", "type=bind,from=a,source=/d")
        self.assertEqual(tree["look"].text, "755 12 34\n")

    def test_its_setuid_setgid_and_sticky_bits_count(self):
        for mode in ("4755", "2755", "1755"):
            with self.subTest(mode):
                self.check(f"true {mode}", f"chmod {mode} /d", "type=bind,from=a,source=/d")

    def test_of_a_writable_mount_too(self):
        tree = self.check("true", "chmod 1770 /d", "type=bind,from=a,source=/d,rw")
        self.assertEqual(tree["look"].text, "1770 0 0\n")

    def test_of_a_cache_mount_over_a_stage_too(self):
        tree = self.check("true", "chmod 711 /d", "type=cache,id={},from=a,source=/d".format(self.id()))
        self.assertEqual(tree["look"].text, "711 0 0\n")

    def test_the_root_of_a_stage_is_such_a_directory(self):
        for extra in ("", ",rw"):
            with self.subTest(extra):
                text = (f"FROM scratch AS a\nCOPY --from=busybox / /\nRUN echo {extra or 'ro'} && chmod {{}} /\n"
                        "COPY f /f\n"
                        "FROM busybox\n"
                        f"RUN --mount=type=bind,from=a,source=/,target=/m{extra} stat -c %a /m > /look\n")
                tree, _ = self.build_twice(text.format("755"), files={"f": "f"})
                self.assertEqual(tree["look"].text, "755\n")
                tree, _ = self.build_twice(text.format("710"))
                self.assertEqual(tree["look"].text, "710\n")

    def test_a_directory_of_the_context_is_one_too(self):
        text = ("FROM busybox\nRUN adduser -D me 2>/dev/null || echo 'me:x:1000:1000::/:/bin/sh' >> /etc/passwd\nUSER me\n"
                "RUN --mount=type=bind,source=d,target=/m ls /m > /tmp/list 2>&1; stat -c %a /m > /tmp/look\n")
        tree, _ = self.build_twice(text, files={"d/f": "f"})
        self.assertEqual((tree["tmp/list"].text, tree["tmp/look"].text), ("f\n", "755\n"))
        (self.ws.context / "d").chmod(0o700)
        tree, ran = self.build_twice()
        self.assertIn("Permission denied", tree["tmp/list"].text)
        self.assertEqual(tree["tmp/look"].text, "700\n")
        self.assertEqual(len([step for step in ran if "ls /m" in step]), 1)

    def test_xattrs_of_a_mounted_directory_count(self):
        text = ("FROM scratch AS a\nCOPY d /d\nFROM busybox\n"
                "RUN --mount=type=bind,from=a,source=/d/sub,target=/m ls /m > /list\n")
        self.build_twice(text, files={"d/sub/f": "f"})
        os.setxattr(self.ws.context / "d/sub", "user.lade", b"1")
        _, ran = self.build_twice()
        self.assertEqual(len(ran), 2)

    def test_copying_what_is_in_a_directory_does_not_depend_on_its_look(self):
        text = "FROM busybox AS a\nRUN mkdir /d && echo hi > /d/f && {}\nFROM busybox\nCOPY --from=a /d /o\nRUN ls /o\n"
        self.build_twice(text.format("true"))
        tree, ran = self.build_twice(text.format("chmod 700 /d && chown 1:2 /d"))
        self.assertEqual(len(ran), 1)
        self.assertEqual((tree["o"].mode, tree["o"].owner), (0o755, (0, 0)))


class HardLinks(IncrementalTest):
    """Whether two files are one counts as much as what is in them."""

    def toggle(self, *instructions):
        """Copies as links, as files, as links and as files again."""
        for make in ("ln /d/a /d/b", "cp -p /d/a /d/b", "ln /d/a /d/b && true", "cp -p /d/a /d/b && true"):
            text = f"FROM busybox AS a\nRUN mkdir /d && echo hi > /d/a && {make}\nFROM busybox\n"
            yield self.build_twice(text + "\n".join(instructions) + "\n")

    def same(self, tree, *paths):
        return len({tree[path].inode for path in paths}) == 1

    def test_in_the_context(self):
        one, two = self.ws.context / "d/a", self.ws.context / "d/b"
        self.write({"d/a": "hi\n", "d/b": "hi\n"})
        self.build_twice("FROM busybox\nCOPY d /d\nRUN ls /d > /list\n")
        for linked in (True, False):
            two.unlink()
            os.link(one, two) if linked else self.write({"d/b": "hi\n"})
            os.utime(two, ns=(one.stat().st_mtime_ns, one.stat().st_mtime_ns))
            tree, ran = self.build_twice()
            self.assertEqual(self.same(tree, "d/a", "d/b"), linked)

    def test_of_a_stage(self):
        for number, (tree, ran) in enumerate(self.toggle("COPY --from=a /d /d", "RUN ls /d")):
            self.assertEqual(self.same(tree, "d/a", "d/b"), number % 2 == 0)
            self.assertEqual(len(ran), 3 if number < 2 else 1)

    def test_of_a_mount(self):
        for number, (tree, ran) in enumerate(self.toggle(
                "RUN --mount=from=a,source=/d,target=/m stat -c '%h' /m/a > /count; cp -a /m /o")):
            self.assertEqual(tree["count"].text, "2\n" if number % 2 == 0 else "1\n")
            self.assertEqual(self.same(tree, "o/a", "o/b"), number % 2 == 0)
            self.assertEqual(len(ran), 2 if number < 2 else 1)

    def test_a_mounted_files_other_names_elsewhere_count(self):
        text = ("FROM busybox AS a\nRUN mkdir /d && echo hi > /d/a && {} /d/a /elsewhere\nFROM busybox\n"
                "RUN --mount=from=a,source=/d,target=/m stat -c '%h' /m/a > /count\n")
        self.assertEqual(self.build_twice(text.format("ln"))[0]["count"].text, "2\n")
        self.assertEqual(self.build_twice(text.format("cp"))[0]["count"].text, "1\n")

    def test_a_link_to_what_is_not_copied_changes_nothing(self):
        text = ("FROM busybox AS a\nRUN mkdir /d && echo hi > /d/a && {} /d/a /elsewhere\nFROM busybox\n"
                "COPY --from=a /d /d\n")
        self.build_twice(text.format("ln"))
        self.assertEqual(len(self.build_twice(text.format("cp"))[1]), 1)

    def test_each_source_of_a_wildcard_is_copied_by_itself(self):
        for number, (tree, ran) in enumerate(self.toggle("COPY --from=a /d/* /o/")):
            self.assertFalse(self.same(tree, "o/a", "o/b"))
            self.assertEqual(len(ran), 2 if number == 0 else 1)


class LinkCounts(IncrementalTest):
    """A step sees as many links of a file as the image has, however the layers below came to their files."""

    SHOW = "RUN find /d -type f | sort | xargs stat -c '%n %h' > /counts; find /d -links +1 -type f > /many\n"

    def files(self, changed="0"):
        if not (self.ws.context / "d").exists():
            self.write({f"d/{number}": f"{number}\n" for number in range(40)})
        self.write({"d/changed": changed})

    def check(self, tree):
        self.assertEqual({line.split()[1] for line in tree["counts"].text.splitlines()}, {"1"})
        self.assertEqual(tree["many"].text, "")

    def test_after_a_copy_that_took_files_over(self):
        for number in range(3):
            self.files(str(number))
            self.check(self.build_twice("FROM busybox\nCOPY d /d\n" + self.SHOW)[0])

    def test_of_layers_that_no_step_was_to_see_when_they_were_made(self):
        without, with_step = "FROM busybox\nCOPY d /d\n", "FROM busybox\nCOPY d /d\n" + self.SHOW
        for number in range(3):
            self.files(str(number))
            self.build(without)
        one = self.ws.state / "layers"
        linked = [path for path in one.glob("*/d/5") if path.stat().st_nlink == 3]
        self.assertEqual(len(linked), 3)
        self.check(self.build_twice(with_step)[0])
        self.assertEqual(sorted(path.stat().st_nlink for path in linked), [1, 2, 2])
        # Of an earlier layer, too, and what shared its files with it is left as it was.
        self.files("0")
        self.check(self.build_twice(with_step)[0])
        self.assertEqual(sorted(path.stat().st_nlink for path in linked), [1, 1, 1])

    def test_in_mounts(self):
        text = ("FROM busybox AS a\nCOPY d /d\nFROM busybox\n"
                "RUN --mount=from=a,source=/d,target=/d {}\n"
                "RUN --mount=source=d,target=/d {}\n").format(self.SHOW[4:-1], self.SHOW[4:-1].replace("/counts", "/own"))
        for number in range(2):
            self.files(str(number))
            tree = self.build_twice(text)[0]
            self.check(tree)
            self.assertEqual(tree["own"].text, tree["counts"].text)

    def test_in_containers(self):
        for number in range(2):
            self.files(str(number))
            self.build("FROM busybox\nCOPY d /d\n", "-t", "i")
        shown = self.ws.lade("run", "--rm", "i", "find", "/d", "-type", "f", "-links", "+1")
        self.assertEqual(shown.stdout, "")

    def test_of_two_builds_at_once(self):
        text = "FROM busybox\nCOPY d /d\n" + self.SHOW.replace("RUN ", "RUN sleep 0.3; ")
        self.files()
        self.build(text)
        # Each takes over files of a layer that the other's step may be about to see, or sees.
        other = self.ws.dir / "other"
        for number in range(4):
            self.files(f"here {number}")
            self.ws.run("rm", "-rf", other)
            self.ws.run("cp", "-a", self.ws.context, other)
            self.write({"d/changed": f"there {number}"}, other)
            builds = [self.ws.spawn("build", "-o", f"type=oci,dest={self.ws.out}/{name}.tar", *extra, context)
                      for name, context, extra in (("one", self.ws.context, ()), ("two", other, ()),
                                                   ("three", other, ("--no-cache",)))]
            for build in builds:
                self.assertEqual(self.ws.finish(build).code, 0)
            for name in ("one", "two", "three"):
                self.check(Image.read(self.ws.out / f"{name}.tar").tree())


class CacheMounts(IncrementalTest):
    """What a cache mount begins as is a part of which one it is, as in BuildKit."""

    def test_one_of_another_look_is_another(self):
        text = "FROM busybox\nRUN --mount=type=cache,id={0},target=/c,{1} stat -c '%a %u %g' /c > /look; ls /c > /list; touch /c/{2}\n"
        seen = []
        for number, look in enumerate(("mode=0755", "mode=0700", "uid=12", "gid=34", "mode=0700")):
            tree = self.tree(text.format(self.id(), look, number))
            seen.append((tree["look"].text.strip(), tree["list"].text.strip()))
        self.assertEqual(seen, [("755 0 0", ""), ("700 0 0", ""), ("755 12 0", ""), ("755 0 34", ""), ("700 0 0", "1")])

    def test_one_on_other_files_is_another(self):
        text = ("FROM busybox AS a\nRUN mkdir -p /d/s && echo {} > /d/s/f && chmod {} /d/s\nFROM busybox\n"
                "RUN --mount=type=cache,from=a,source=/d,target=/c stat -c %a /c/s > /look; cat /c/s/f >> /look; touch /c/s/new\n")
        for content, mode in (("one", "755"), ("two", "700"), ("one", "711")):
            tree, _ = self.build_twice(text.format(content, mode))
            self.assertEqual(tree["look"].text, f"{mode}\n{content}\n")


class Candidates(IncrementalTest):
    def test_equal_inputs_are_found_after_many_others(self):
        text = "FROM busybox\nRUN echo {} > /f\nRUN cat /f > /g && date +%N > /h\n"
        first = self.tree(text.format("0"))
        for number in range(1, 60):
            self.build(text.format(number))
        again = self.tree(text.format("0 && true"))
        self.assertEqual(again["h"].text, first["h"].text)
