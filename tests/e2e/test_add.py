"""ADD: archives by content, and what it has in common with COPY."""

import os
import tarfile

from image import compress, make_tar, tar_info
from support import LadeTest


def special_tar():
    """Owners, modes, links, a device and a parent that has no entry of its own."""
    return make_tar([tar_info("d/", tarfile.DIRTYPE, mode=0o750, uid=10, gid=20), tar_info("d/f", mode=0o4755, uid=1, gid=2),
                     tar_info("d/link", tarfile.SYMTYPE, linkname="f"), tar_info("d/hard", tarfile.LNKTYPE, linkname="d/f"),
                     tar_info("null", tarfile.CHRTYPE, devmajor=1, devminor=3), tar_info("no/parent")])


class AddArchives(LadeTest):
    def test_archives_are_recognised_by_content_whatever_their_name(self):
        data = make_tar([("inside", b"content")])
        files = {f"archive-{kind}": compress(data, kind) for kind in ("tar", "gz", "bz2", "xz", "zst")}
        tree = self.tree("FROM scratch\n" + "".join(f"ADD {name} /{name}/\n" for name in files), files=files)
        for name in files:
            self.assertEqual(tree[f"{name}/inside"].data, b"content", name)
            self.assertNotIn(f"{name}/{name}", tree)

    def test_owners_modes_links_and_devices_of_an_archive_are_kept(self):
        tree = self.tree("FROM scratch\nADD x.tar /x\n", files={"x.tar": special_tar()})
        self.assertEqual((tree["x/d"].owner, tree["x/d"].mode), ((10, 20), 0o750))
        self.assertEqual((tree["x/d/f"].owner, tree["x/d/f"].mode, int(tree["x/d/f"].mtime)), ((1, 2), 0o4755, 1400000000))
        self.assertEqual((tree["x/d/link"].target, tree["x/d/hard"].inode), ("f", tree["x/d/f"].inode))
        self.assertEqual((tree["x/null"].type, tree["x/null"].device), ("char", (1, 3)))
        self.assertEqual((tree["x/no"].type, tree["x/no"].mode), ("dir", 0o755))

    def test_chown_applies_to_what_is_unpacked(self):
        tree = self.tree("FROM scratch\nADD --chown=5:6 x.tar /x/\n", files={"x.tar": special_tar()})
        self.assertEqual((tree["x/d/f"].owner, tree["x/d"].owner), ((5, 6), (5, 6)))

    def test_unpack_false_and_copy_keep_the_archive(self):
        data = make_tar([("inside", b"content")])
        tree = self.tree("FROM scratch\nADD --unpack=false x.tar /a/\nCOPY x.tar /b/\n", files={"x.tar": data})
        self.assertEqual((tree["a/x.tar"].data, tree["b/x.tar"].data), (data, data))

    def test_what_is_no_archive_is_copied(self):
        truncated = compress(make_tar([("inside", b"content" * 1000)]), "gz")[:20]
        files = {"text": "text", "gz": compress(b"just text", "gz"), "empty": "", "d/x.tar": make_tar([("i", b"i")]),
                 "short": truncated}
        tree = self.tree("FROM scratch\nADD text gz empty short /\nADD d /d\n", files=files)
        self.assertEqual((tree["text"].data, tree["gz"].data, tree["empty"].data), (b"text", files["gz"], b""))
        self.assertEqual(tree["short"].data, truncated)
        self.assertEqual(tree["d/x.tar"].data, files["d/x.tar"])

    def test_unpacking_merges_into_existing_directories_and_through_links(self):
        data = make_tar([("bin/tool", b"new"), ("etc/more", b"more")])
        tree = self.tree("FROM busybox\nRUN mkdir -p /r/usr/bin && ln -s usr/bin /r/bin && mkdir /r/etc && "
                         "echo o > /r/etc/old\nADD x.tar /r\n", files={"x.tar": data})
        self.assertEqual((tree["r/etc/old"].data, tree["r/etc/more"].data), (b"o\n", b"more"))
        self.assertEqual((tree["r/bin"].type, tree["r/usr/bin/tool"].data), ("symlink", b"new"))

    def test_an_entry_of_another_type_replaces_what_is_there(self):
        data = make_tar([tar_info("link/", tarfile.DIRTYPE, mode=0o755), ("link/f", b"f"), ("dir", b"file"),
                         tar_info("file", tarfile.SYMTYPE, linkname="dir")])
        tree = self.tree("FROM busybox\nRUN mkdir -p /r/dir/below /real && ln -s /real /r/link && echo > /r/file\n"
                         "ADD x.tar /r\n", files={"x.tar": data})
        self.assertEqual((tree["r/link"].type, tree["r/link/f"].data), ("dir", b"f"))
        self.assertEqual((tree["r/dir"].data, tree["r/file"].target), (b"file", "dir"))
        self.assertNotIn("r/dir/below", tree)

    def test_entries_below_links_of_the_archive_go_where_they_lead(self):
        archive = make_tar([tar_info("usr/lib/", tarfile.DIRTYPE), tar_info("lib", tarfile.SYMTYPE, linkname="usr/lib"),
                            ("lib/f", b"content"), tar_info("hard", tarfile.LNKTYPE, linkname="lib/f")])
        tree = self.tree("FROM scratch\nADD x.tar /x/\n", files={"x.tar": archive})
        self.assertEqual((tree["x/usr/lib/f"].data, tree["x/lib"].target), (b"content", "usr/lib"))
        self.assertEqual(tree["x/hard"].inode, tree["x/usr/lib/f"].inode)
        # The same as a base, as a context and as an image's layer.
        (self.ws.dir / "x.tar").write_bytes(archive)
        self.ws.lade("import", self.ws.dir / "x.tar", "linked")
        self.assertEqual(self.tree("FROM linked\nCOPY f /\n", files={"f": "f"}, name="b.tar")["usr/lib/f"].data, b"content")
        dest = self.ws.out / "c.tar"
        context = make_tar([("Dockerfile", b"FROM scratch\nCOPY . /\n"), tar_info("usr/lib/", tarfile.DIRTYPE),
                            tar_info("lib", tarfile.SYMTYPE, linkname="usr/lib"), ("lib/f", b"content")])
        self.ws.lade("build", "-o", f"type=tar,dest={dest}", "-", stdin=context)
        with tarfile.open(dest) as tar:
            self.assertEqual(tar.extractfile("usr/lib/f").read(), b"content")

    def test_hard_links_may_lead_to_files_at_the_destination(self):
        archive = make_tar([
            tar_info("d/", tarfile.DIRTYPE, mode=0o750),
            tar_info("d/hard", tarfile.LNKTYPE, linkname="lib/old", mode=0o640, uid=3, gid=4),  # lib leads to usr/lib
            tar_info("again", tarfile.LNKTYPE, linkname="d/hard", mode=0o640, uid=3, gid=4),
            tar_info("late", tarfile.LNKTYPE, linkname="second", mode=0o644), ("second", b"new"),
            tar_info("gone", tarfile.LNKTYPE, linkname="lib/old"), ("gone", b"own"),
            tar_info("link", tarfile.LNKTYPE, linkname="symlink"), tar_info("")])
        base = ("FROM busybox\nRUN mkdir -p /r/usr/lib && ln -s usr/lib /r/lib && echo old > /r/usr/lib/old && "
                "echo 2 > /r/second && ln -s usr /r/symlink\n")
        tree = self.tree(base + "ADD x.tar /r/\n", files={"x.tar": archive})
        old = tree["r/usr/lib/old"]
        self.assertEqual((old.data, old.mode, old.owner, int(old.mtime)), (b"old\n", 0o640, (3, 4), 1400000000))
        for name in ("r/d/hard", "r/again"):
            self.assertEqual((tree[name].inode, tree[name].data), (old.inode, b"old\n"), name)
        self.assertEqual((tree["r/d"].mode, tree["r/late"].data, tree["r/second"].data), (0o750, b"2\n", b"new"))
        self.assertEqual((tree["r/gone"].data, tree["r/link"].target), (b"own", "usr"))
        # In the image the two are one file, and nothing else has changed.
        result = self.build(base + "ADD x.tar /r/\nRUN stat -c %h /r/again && cat /r/lib/old && "
                            "[ /r/again -ef /r/usr/lib/old ] && echo same\n")
        self.assertEqual(result.log("RUN stat"), ["3", "old", "same"])
        # With --chown as docker has it; and what is nowhere is an error, as it is in a base layer.
        tree = self.tree(base + "ADD --chown=8:9 x.tar /r/\n")
        self.assertEqual((tree["r/usr/lib/old"].owner, tree["r/d/hard"].owner), ((8, 9), (8, 9)))
        self.assert_fails("FROM busybox\nADD x.tar /empty/\n", "'/d/hard' is a hard link to '/lib/old'",
                          "neither an earlier file of the archive nor one at the destination", "Dockerfile:2")
        (self.ws.dir / "x.tar").write_bytes(archive)
        self.assert_fails(self.ws.lade("import", self.ws.dir / "x.tar", "linked", code=None), "not an earlier file")

    def test_a_hard_link_to_what_another_source_of_the_same_step_brought(self):
        archive = make_tar([tar_info("hard", tarfile.LNKTYPE, linkname="plain")])
        tree = self.tree("FROM scratch\nADD plain x.tar /o/\n", files={"plain": "p", "x.tar": archive})
        self.assertEqual((tree["o/hard"].data, tree["o/hard"].inode), (b"p", tree["o/plain"].inode))

    def test_bytes_behind_an_archive_are_ignored(self):
        data = make_tar([("inside", b"content")])
        files = {f"{kind}-{what}": compress(data, kind) + junk for kind in ("tar", "gz", "bz2", "xz", "zst")
                 for what, junk in (("zeros", bytes(3000)), ("junk", b"junk" * 1000))}
        tree = self.tree("FROM scratch\n" + "".join(f"ADD {name} /{name}/\n" for name in files), files=files)
        for name in files:
            self.assertEqual(tree[f"{name}/inside"].data, b"content", name)
        # What is cut off is not the same as what is too much.
        for kind in ("gz", "bz2", "xz", "zst"):
            cut = compress(make_tar([("inside", os.urandom(3 << 20))]), kind)
            self.assert_fails("FROM scratch\nADD x /x/\n", "Dockerfile:2", files={"x": cut[:len(cut) // 2]})

    def test_an_archive_cannot_write_outside_its_destination(self):
        data = make_tar([tar_info("link", tarfile.SYMTYPE, linkname="../../outside"), ("link/f", b"f"), tar_info("../../up")])
        self.build("FROM busybox\nADD x.tar /a/b/\n", files={"x.tar": data}, code=None)
        self.assertFalse((self.ws.dir / "outside").exists() or list(self.ws.state.rglob("up")))

    def test_a_corrupt_archive_is_an_error_that_names_it(self):
        data = bytearray(compress(make_tar([("f%d" % i, bytes(range(256)) * 40) for i in range(50)]), "xz"))
        data[len(data) // 2] ^= 0xff
        self.assert_fails("FROM scratch\nADD broken.tar.xz /\n", "Dockerfile:2", "broken.tar.xz",
                          files={"broken.tar.xz": bytes(data)})

    def test_wildcards_and_several_archives(self):
        files = {f"{name}.tar": make_tar([(f"from-{name}", name.encode())]) for name in "abc"}
        tree = self.tree("FROM scratch\nADD *.tar plain /o/\n", files={**files, "plain": "p"})
        self.assertEqual(sorted(tree), ["o", "o/from-a", "o/from-b", "o/from-c", "o/plain"])

    def test_a_heredoc_and_chmod_work_as_with_copy(self):
        tree = self.tree("FROM scratch\nADD --chmod=600 <<EOF f /o/\nhere\nEOF\n", files={"f": "f"})
        self.assertEqual((tree["o/EOF"].text, tree["o/EOF"].mode, tree["o/f"].mode), ("here\n", 0o600, 0o600))

    def test_the_same_archive_is_cached_and_a_changed_one_is_not(self):
        dockerfile = "FROM scratch\nADD x.tar /\n"
        self.build(dockerfile, files={"x.tar": make_tar([("f", b"1")])})
        self.assertEqual(self.build().ran, [])
        self.write({"x.tar": make_tar([("f", b"2")])})
        self.assertEqual(len(self.build().ran), 1)

    def test_long_and_odd_names(self):
        names = ["long/" + "n" * 200 + "/" + "m" * 200, "unicode-ü", "bytes-\udcff", "new\nline"]
        tree = self.tree("FROM scratch\nADD x.tar /\n", files={"x.tar": make_tar([(name, b"x") for name in names])})
        self.assertEqual([tree[name].data for name in names], [b"x"] * len(names))
