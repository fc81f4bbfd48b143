"""COPY: destinations, metadata, links, wildcards, flags; on the flattened tree of what is built."""

import os
import pathlib
import tarfile

from support import LadeTest

BASE = "FROM busybox\n"
PEOPLE = BASE + "RUN echo 'app:x:1000:1001::/:/bin/sh' >> /etc/passwd && echo 'staff:x:50:' >> /etc/group\n"
OLD = 1400000000  # seconds; an mtime that no build would give by chance


def blocks_of(directory):
    """Bytes on disk of all files below, of each inode once."""
    found = {(info.st_dev, info.st_ino): info.st_blocks * 512
             for info in (path.lstat() for path in pathlib.Path(directory).rglob("*"))}
    return sum(found.values())


class SparseFiles(LadeTest):
    SIZE = 256 << 20

    def make(self):
        with open(self.ws.context / "sparse", "wb") as file:
            file.truncate(self.SIZE)
            file.seek(self.SIZE // 2)
            file.write(b"middle")
        with open(self.ws.context / "holes-only", "wb") as file:
            file.truncate(1 << 20)
        self.write({"ends": bytes(1 << 20) + b"x"})
        os.truncate(self.ws.context / "ends", 3 << 20)

    def check_holes(self, dockerfile):
        self.make()
        before = blocks_of(self.ws.state / "layers")
        tar = self.ws.out / "x.tar"
        self.build(dockerfile, "-o", f"type=tar,dest={tar}", "-o", f"type=local,dest={self.ws.out}/local")
        self.assertLess(blocks_of(self.ws.state / "layers") - before, 12 << 20)
        self.assertLess(blocks_of(self.ws.out / "local"), 6 << 20)
        with tarfile.open(tar) as archive:
            for name in ("sparse", "holes-only", "ends"):
                ours, theirs = archive.extractfile(f"o/{name}"), open(self.ws.context / name, "rb")
                with theirs:
                    while piece := theirs.read(1 << 20):
                        self.assertTrue(ours.read(1 << 20) == piece, name)
                self.assertEqual(ours.read(1), b"", name)

    def test_holes_stay_holes_in_layers_and_outputs(self):
        self.check_holes("FROM scratch\nCOPY sparse holes-only ends /o/\n")

    def test_of_another_stage_and_of_an_archive(self):
        self.check_holes("FROM scratch AS a\nCOPY sparse holes-only /o/\nFROM scratch\nCOPY --from=a /o /o\nADD ends /o/\n")

    def test_the_content_is_that_of_a_file_written_out(self):
        digests = []
        for dense in (False, True):
            with open(self.ws.context / "f", "wb") as file:
                file.write(bytes(3 << 20)) if dense else file.seek(3 << 20)
                file.write(b"end")
            os.utime(self.ws.context / "f", (OLD, OLD))
            digests.append(self.image("FROM scratch\nCOPY f /\n", "--no-cache", name=f"{dense}.tar").config["rootfs"])
        self.assertEqual(digests[0], digests[1])


class RevealingAttributes(LadeTest):
    def test_a_url_with_a_query_is_copied_and_warned_of(self):
        self.write({"d/secret": "s", "d/plain": "p", "d/other": "o"})
        for name, value in (("secret", b"https://host/f.zip?token=abc"), ("plain", b"https://host/f.zip"), ("other", b"x?y")):
            try:
                os.setxattr(self.ws.context / "d" / name, "user.xdg.origin.url", value)
            except OSError:
                self.skipTest("the filesystem has no user attributes")
        dockerfile = "FROM busybox\nCOPY d /d\nFROM busybox\nCOPY --from=0 /d /d\n"
        result = self.build(dockerfile)
        warnings = [line for line in result.stderr.splitlines() if line.startswith("WARNING")]
        self.assertEqual(len(warnings), 1, str(result))
        for words in ("'d/secret'", "user.xdg.origin.url", "setfattr -x"):
            self.assertIn(words, warnings[0])
        self.assertNotIn("token", result.stderr)
        entry = self.tree(dockerfile)["d/secret"]
        self.assertEqual(entry.xattrs["user.xdg.origin.url"], b"https://host/f.zip?token=abc")
        for number in range(5):
            self.write({f"e/{number}": "x"})
            os.setxattr(self.ws.context / f"e/{number}", "user.a", b"http://h/?q")
        self.assertIn("2 more files have such attributes", self.build("FROM scratch\nCOPY e /\n").stderr)


class CopyDestination(LadeTest):
    def test_a_directory_copies_its_contents(self):
        tree = self.tree("FROM scratch\nCOPY d /x\nCOPY d/ /y/\nCOPY d/sub/.. /z\n", files={"d/f": "f", "d/sub/g": "g"})
        for name in "xyz":
            self.assertEqual((tree[f"{name}/f"].data, tree[f"{name}/sub/g"].data), (b"f", b"g"))
            self.assertNotIn(f"{name}/d", tree)

    def test_a_new_destination_root_is_0755_root_with_the_sources_mtime(self):
        self.write({"d/f": "f"})
        os.chmod(self.ws.context / "d", 0o700)
        os.utime(self.ws.context / "d", (OLD, OLD))
        tree = self.tree("FROM scratch\nCOPY d /a/b\n")
        self.assertEqual((tree["a/b"].mode, tree["a/b"].owner, int(tree["a/b"].mtime)), (0o755, (0, 0), OLD))
        self.assertEqual((tree["a"].mode, tree["a"].owner), (0o755, (0, 0)))

    def test_an_existing_destination_keeps_owner_and_mode(self):
        tree = self.tree(BASE + "RUN mkdir -m 700 /x && chown 5:6 /x\nCOPY d /x\n", files={"d/f": "f"})
        self.assertEqual((tree["x"].mode, tree["x"].owner, tree["x/f"].owner), (0o700, (5, 6), (0, 0)))

    def test_an_existing_directory_below_takes_the_sources_owner_and_mode(self):
        self.write({"d/sub/f": "f"})
        os.chmod(self.ws.context / "d/sub", 0o750)
        tree = self.tree(BASE + "RUN mkdir -p /x/sub && chmod 777 /x/sub && chown 5:6 /x/sub && echo k > /x/sub/kept\n"
                         "COPY d /x\n")
        self.assertEqual((tree["x/sub"].mode, tree["x/sub"].owner), (0o750, (0, 0)))
        self.assertEqual(tree["x/sub/kept"].data, b"k\n")

    def test_a_file_goes_to_a_name_into_an_existing_directory_or_into_a_new_one_with_a_slash(self):
        tree = self.tree(BASE + "RUN mkdir /there\nCOPY f /name\nCOPY f /there\nCOPY f /new/\nCOPY f g /several/\n"
                         "WORKDIR /work\nCOPY f .\nCOPY f rel/path\n", files={"f": "f", "g": "g"})
        for path in ("name", "there/f", "new/f", "several/f", "several/g", "work/f", "work/rel/path"):
            self.assertEqual(tree[path].type, "file", path)

    def test_modes_and_mtimes_stay_and_owners_become_root(self):
        self.write({"f": "f", "d/g": "g"})
        for name, mode in (("f", 0o4751), ("d/g", 0o604)):
            path = self.ws.context / name
            os.chown(path, 1234, 4321)
            path.chmod(mode)
            os.utime(path, (OLD, OLD))
        tree = self.tree("FROM scratch\nCOPY f /\nCOPY d /d\n")
        self.assertEqual((tree["f"].mode, tree["f"].owner, int(tree["f"].mtime)), (0o4751, (0, 0), OLD))
        self.assertEqual((tree["d/g"].mode, tree["d/g"].owner, int(tree["d/g"].mtime)), (0o604, (0, 0), OLD))

    def test_copy_from_a_stage_keeps_ownership_and_special_files(self):
        tree = self.tree("""FROM busybox AS s
RUN mkdir -p /o/dir && echo x > /o/f && chown 7:8 /o/f /o/dir && chmod 2755 /o/dir && mkfifo /o/pipe && \\
    ln -s f /o/link && ln /o/f /o/hard && chown 9:9 /o && touch -d @1400000000 /o/f
FROM scratch
COPY --from=s /o /p
COPY --from=s /o/f /alone
""")
        self.assertEqual((tree["p/f"].owner, int(tree["p/f"].mtime)), ((7, 8), OLD))
        self.assertEqual((tree["p/dir"].owner, tree["p/dir"].mode), ((7, 8), 0o2755))
        self.assertEqual((tree["p/pipe"].type, tree["p/link"].target), ("fifo", "f"))
        self.assertEqual(tree["p/f"].inode, tree["p/hard"].inode)
        self.assertEqual((tree["alone"].owner, tree["p"].owner), ((7, 8), (0, 0)))

    def test_copy_replaces_a_file_and_keeps_what_is_beside_it(self):
        tree = self.tree(BASE + "RUN echo old > /f && ln -s /elsewhere /g && echo b > /beside\nCOPY f g /\n",
                         files={"f": "new", "g": "file"})
        self.assertEqual((tree["f"].data, tree["g"].type, tree["beside"].data), (b"new", "file", b"b\n"))

    def test_type_conflicts_are_errors(self):
        self.write({"dir/x": "x", "tree/sub/f": "f", "tree2/sub": "file"})
        self.assert_fails(BASE + "RUN echo > /x\nCOPY dir /x\n", "Dockerfile:3", "non-directory")
        self.assert_fails(BASE + "RUN mkdir /x && echo > /x/sub\nCOPY tree /x\n", "Dockerfile:3",
                          "cannot copy to non-directory: /x/sub")
        self.assert_fails(BASE + "RUN mkdir -p /x/sub/y\nCOPY tree2 /x\n", "Dockerfile:3",
                          "cannot replace to directory /x/sub with file")

    def test_link_replaces_what_is_in_the_way(self):
        self.write({"tree/sub/f": "f", "tree2/sub": "file"})
        tree = self.tree(BASE + "RUN mkdir -p /x/sub/y /z && echo > /z/sub\nCOPY --link tree2 /x\nCOPY --link tree /z\n")
        self.assertEqual((tree["x/sub"].data, tree["z/sub/f"].data), (b"file", b"f"))
        self.assertNotIn("x/sub/y", tree)


class CopyLinks(LadeTest):
    def test_a_source_link_named_directly_is_followed_a_nested_one_is_kept(self):
        self.write({"d/f": "f"})
        os.symlink("d/f", self.ws.context / "link")
        os.symlink("d", self.ws.context / "dirlink")
        os.symlink("/d/f", self.ws.context / "absolute")
        os.symlink("f", self.ws.context / "d/nested")
        os.symlink("nowhere", self.ws.context / "d/dangling")
        tree = self.tree("FROM scratch\nCOPY link /l\nCOPY dirlink /dl\nCOPY absolute /a\nCOPY dirlink/f /df\n")
        for name in ("l", "a", "df", "dl/f"):
            self.assertEqual((tree[name].type, tree[name].data), ("file", b"f"), name)
        self.assertEqual((tree["dl/nested"].target, tree["dl/dangling"].target), ("f", "nowhere"))

    def test_a_source_link_out_of_the_context_stays_inside_it(self):
        outside = self.ws.dir / "outside"
        outside.write_text("secret")
        os.symlink(f"../{outside.name}", self.ws.context / "escape")
        self.write({"Dockerfile": "FROM scratch\nCOPY escape /e\n"})
        self.assert_fails(self.build(code=None), "not found", "Dockerfile:2")

    def test_destination_links_resolve_inside_the_root(self):
        links = "RUN mkdir -p /usr/lib2 && ln -s usr/lib2 /lib2 && ln -s /usr/lib2 /abs && ln -s ../../../usr/lib2 /up\n"
        tree = self.tree(BASE + links + "COPY f /lib2/1\nCOPY f /abs/2\nCOPY f /up/\nCOPY d /lib2\nCOPY f /lib2/new/3\n",
                         files={"f": "f", "d/g": "g"})
        for name in ("1", "2", "f", "g", "new/3"):
            self.assertEqual(tree[f"usr/lib2/{name}"].type, "file", name)
        for name in ("lib2", "abs", "up"):
            self.assertEqual(tree[name].type, "symlink", name)

    def test_a_dangling_destination_link_is_made_where_it_points(self):
        tree = self.tree(BASE + "RUN ln -s /made/later /x\nCOPY f /x/\n", files={"f": "f"})
        self.assertEqual((tree["x"].type, tree["made/later/f"].data), ("symlink", b"f"))

    def test_link_flag_does_not_follow_destination_links(self):
        tree = self.tree(BASE + "RUN mkdir /real && ln -s real /x\nCOPY --link f /x/\n", files={"f": "f"})
        self.assertEqual((tree["x"].type, tree["x/f"].data), ("dir", b"f"))
        self.assertNotIn("real/f", tree)

    def test_hard_links_within_one_copy_are_kept_and_across_copies_are_not(self):
        self.write({"d/a": "same"})
        os.link(self.ws.context / "d/a", self.ws.context / "d/b")
        tree = self.tree("FROM busybox\nCOPY d /d\nCOPY d /e\nRUN test $(stat -c %h /d/a) = 2\n")
        self.assertEqual(tree["d/a"].inode, tree["d/b"].inode)
        self.assertNotEqual(tree["d/a"].inode, tree["e/a"].inode)

    def test_user_xattrs_are_copied(self):
        self.write({"f": "f", "d/g": "g"})
        os.setxattr(self.ws.context / "f", "user.lade", b"val\x00ue")
        os.setxattr(self.ws.context / "d/g", "user.two", b"2")
        tree = self.tree("FROM scratch\nCOPY f /\nCOPY d /d/\n")
        self.assertEqual(tree["f"].xattrs, {"user.lade": b"val\x00ue"})
        self.assertEqual(tree["d/g"].xattrs, {"user.two": b"2"})

    def test_sparse_and_odd_files_come_out_the_same(self):
        names = ["with space", "new\nline", "quote\"'", "non-utf8-\udcff\udcfe", "-dash", "a" * 255, "ünï", "*star?[x]",
                 ".wh", "tab\t"]
        for name in names:
            (self.ws.context / "d").mkdir(exist_ok=True)
            (self.ws.context / "d" / name).write_bytes(os.fsencode(name))
        with open(self.ws.context / "d/sparse", "wb") as sparse:
            sparse.truncate(64 << 20)
            sparse.seek(40 << 20)
            sparse.write(b"in the middle")
        tree = self.tree("FROM scratch\nCOPY d /d\n")
        for name in names:
            self.assertEqual(tree[f"d/{name}"].data, os.fsencode(name))
        data = tree["d/sparse"].data
        self.assertEqual((len(data), data[40 << 20:(40 << 20) + 13]), (64 << 20, b"in the middle"))
        self.assertEqual(data.count(b"\0"), len(data) - 13)


class CopySelection(LadeTest):
    FILES = {"a.txt": "a", "b.txt": "b", "c.md": "c", "d/x.txt": "x", "d/y.md": "y", "d/e/z.txt": "z", "[odd]": "odd"}

    def copied(self, *instructions, base="FROM scratch\n"):
        tree = self.tree(base + "".join(f"{line}\n" for line in instructions), files=self.FILES)
        return sorted(name for name, entry in tree.items() if entry.type != "dir")

    def test_wildcards_match_names_at_their_level(self):
        self.assertEqual(self.copied("COPY *.txt /o/"), ["o/a.txt", "o/b.txt"])
        self.assertEqual(self.copied("COPY ?.md /o/"), ["o/c.md"])
        self.assertEqual(self.copied("COPY [ab].txt /o/"), ["o/a.txt", "o/b.txt"])
        self.assertEqual(self.copied("COPY */*.txt /o/"), ["o/x.txt"])
        self.assertEqual(self.copied("COPY [[]odd] /o/"), ["o/[odd]"])

    def test_a_wildcard_that_matches_a_directory_copies_its_contents(self):
        self.assertEqual(self.copied("COPY d* /o/"), ["o/e/z.txt", "o/x.txt", "o/y.md"])

    def test_a_wildcard_without_a_match_is_no_error_a_plain_name_is_one(self):
        self.assertEqual(self.copied("COPY a.txt none* /o/"), ["o/a.txt"])
        self.assert_fails("FROM scratch\nCOPY a.txt none /o/\n", "Dockerfile:2", '"/none"', "not found", files=self.FILES)

    def test_exclude_leaves_out_what_matches(self):
        self.assertEqual(self.copied("COPY --exclude=*.md d /o/"), ["o/e/z.txt", "o/x.txt"])
        self.assertEqual(self.copied("COPY --exclude=**/*.txt --exclude=x* d /o/"), ["o/y.md"])
        self.assertEqual(self.copied("COPY --exclude=e d /o/"), ["o/x.txt", "o/y.md"])

    def test_parents_keeps_the_path_from_the_pivot_on(self):
        self.assertEqual(self.copied("COPY --parents d/x.txt /o/"), ["o/d/x.txt"])
        self.assertEqual(self.copied("COPY --parents d/./e/z.txt /o/"), ["o/e/z.txt"])
        self.assertEqual(self.copied("COPY --parents d/e /o/"), ["o/d/e/z.txt"])
        self.assertEqual(self.copied("COPY --parents **/*.txt /o/"),
                         ["o/a.txt", "o/b.txt", "o/d/e/z.txt", "o/d/x.txt"])
        self.assert_fails("FROM scratch\nCOPY --parents d/none /o/\n", "Dockerfile:2", "not found", files=self.FILES)

    def test_dockerignore_has_last_match_wins_exceptions_and_double_stars(self):
        self.write({".dockerignore": "# comment\n**/*.md\n!d/y.md\nd/e\n/b.txt\n"})
        self.assertEqual(self.copied("COPY . /o/"),
                         ["o/.dockerignore", "o/Dockerfile", "o/[odd]", "o/a.txt", "o/d/x.txt", "o/d/y.md"])

    def test_a_dockerfiles_own_ignore_file_replaces_the_general_one(self):
        self.write({".dockerignore": "*\n", "other.Dockerfile": "FROM scratch\nCOPY . /o/\n",
                    "other.Dockerfile.dockerignore": "d\n*Dockerfile*\n.dockerignore\n"})
        tree = self.image(None, "-f", self.ws.context / "other.Dockerfile", files=self.FILES).tree()
        self.assertEqual(sorted(name for name, entry in tree.items() if entry.type != "dir"),
                         ["o/[odd]", "o/a.txt", "o/b.txt", "o/c.md"])


class CopyFlags(LadeTest):
    def owner_of(self, chown, base=PEOPLE):
        return self.tree(base + f"COPY --chown={chown} f /new/f\n", files={"f": "f"})["new/f"].owner

    def test_chown_names_are_looked_up_in_the_image(self):
        self.assertEqual(self.owner_of("app"), (1000, 1001))
        self.assertEqual(self.owner_of("app:staff"), (1000, 50))
        self.assertEqual(self.owner_of("7:staff"), (7, 50))

    def test_a_numeric_chown_user_implies_the_group(self):
        self.assertEqual(self.owner_of("12"), (12, 12))
        self.assertEqual(self.owner_of("12:34", "FROM scratch\n"), (12, 34))

    def test_chown_applies_to_made_parents_and_all_below(self):
        tree = self.tree(PEOPLE + "COPY --chown=app d /p/q\n", files={"d/s/f": "f"})
        for name in ("p", "p/q", "p/q/s", "p/q/s/f"):
            self.assertEqual(tree[name].owner, (1000, 1001), name)

    def test_an_unknown_chown_name_means_root_as_in_buildkit(self):
        self.assertEqual(self.owner_of("nobody-here:no-group"), (0, 0))

    def test_octal_chmod_applies_to_files_directories_and_made_parents(self):
        tree = self.tree("FROM scratch\nCOPY --chmod=0711 d /p/q\n", files={"d/s/f": "f"})
        for name in ("p/q", "p/q/s", "p/q/s/f"):
            self.assertEqual(tree[name].mode, 0o711, name)

    def test_symbolic_chmod_changes_what_it_names(self):
        self.write({"d/s/f": "f", "d/run": "x"})
        (self.ws.context / "d/s/f").chmod(0o640)
        (self.ws.context / "d/run").chmod(0o700)
        (self.ws.context / "d/s").chmod(0o700)
        tree = self.tree("FROM scratch\nCOPY --chmod=u=rwX,go=rX d /p\n")
        self.assertEqual([tree[f"p/{name}"].mode for name in ("s/f", "run", "s")], [0o644, 0o755, 0o755])
        tree = self.tree("FROM scratch\nCOPY --chmod=+x d /p\n")
        self.assertEqual((tree["p/s/f"].mode, tree["p/run"].mode), (0o751, 0o711))

    def test_link_makes_a_layer_that_does_not_depend_on_the_base(self):
        dockerfile = "COPY --link d /p/q/\n"
        self.build(BASE + dockerfile, files={"d/f": "f"})
        changed = self.build("FROM busybox\nRUN echo other base > /o\n" + dockerfile)
        self.assertFalse([name for name in changed.ran if "COPY" in name and "LINK" not in name], str(changed))
        tree = self.tree(None)
        self.assertEqual((tree["p/q/f"].data, tree["o"].text), (b"f", "other base\n"))


class CopyHeredocs(LadeTest):
    def test_heredocs_become_files(self):
        tree = self.tree("""FROM scratch
ARG WHO=world
COPY <<plain <<"quoted" <<-tabs /dir/
hello $WHO
plain
hello $WHO
quoted
\t\tindented
\t\t  more
\ttabs
COPY <<EOF /single
one file
EOF
COPY --chmod=755 --chown=3:4 <<EOF f /mixed/
#!/bin/sh
EOF
""", files={"f": "f"})
        self.assertEqual(tree["dir/plain"].text, "hello world\n")
        self.assertEqual(tree["dir/quoted"].text, "hello $WHO\n")
        self.assertEqual(tree["dir/tabs"].text, "indented\n  more\n")
        self.assertEqual((tree["single"].text, tree["single"].mode, tree["single"].owner), ("one file\n", 0o644, (0, 0)))
        self.assertEqual((tree["mixed/EOF"].mode, tree["mixed/EOF"].owner), (0o755, (3, 4)))
        self.assertEqual((tree["mixed/f"].mode, tree["mixed/f"].owner), (0o755, (3, 4)))
