#!/usr/bin/env python3
"""That pages.py reads pages as it says, and notices what a page promises and nothing does."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import pages  # noqa: E402


class Blocks(unittest.TestCase):
    def read(self, text):
        return [(block.skip, block.setup, [(one.text, one.output, one.code) for one in block.commands])
                for block in pages.blocks(text)]

    def test_indented_and_fenced_blocks_are_commands(self):
        self.assertEqual(self.read("Text:\n\n    a\n    b \\\n      c\n\nmore\n\n```sh\nd\n```\n\n```json\n{}\n```\n"),
                         [("", False, [("a", None, 0), ("b \\\n  c", None, 0)]), ("", False, [("d", None, 0)])])

    def test_what_follows_a_command_is_its_output(self):
        self.assertEqual(self.read("\n    $ a\n    x\n\n    y\n    $ b\n"),
                         [("", False, [("a", ["x", "", "y"], 0), ("b", None, 0)])])

    def test_comments_say_what_is_not_run_or_comes_before(self):
        self.assertEqual(self.read("<!-- docs-setup\ntouch x\n-->\n<!-- docs-skip: no bucket -->\n\n    a\n\n"
                                   "<!-- docs-exit: 3 -->\n\n    b\n"),
                         [("", True, [("touch x", None, 0)]), ("no bucket", False, [("a", None, 0)]),
                          ("", False, [("b", None, 3)])])

    def test_mistakes_are_named(self):
        for text in ("<!-- docs-skip: x -->\n", "<!-- docs-skp: x -->\n", "```\na\n```\n", "```sh\na\n", "<!-- docs-setup\na\n"):
            with self.assertRaises(pages.PageError, msg=text):
                pages.blocks(text)


class Output(unittest.TestCase):
    def test_what_differs_from_run_to_run_does_not_count(self):
        self.assertIsNone(pages.missing(["app   latest   f754ab9628fd   14 minutes ago   1.98MB", "Deleted: sha256:" + "a" * 64],
                                        "app latest 0123456789ab About a minute ago 2MB\nDeleted: sha256:" + "b" * 64 + "\n"))

    def test_what_does_not_come_is_found(self):
        self.assertEqual(pages.missing(["a", "b"], "a\nc\n"), "b")
        self.assertEqual(pages.missing(["image 2 1MB"], "image 3 1MB\n"), "image 2 1MB")
        self.assertIn("c", pages.missing(["a", "b"], "a\nb\nc\n"))
        self.assertEqual(pages.missing(["b", "a"], "a\nb\n"), "b")

    def test_dots_stand_for_any_lines(self):
        self.assertIsNone(pages.missing(["a", "...", "d"], "a\nb\nc\nd\n"))
        self.assertIsNone(pages.missing(["a", "..."], "a\nb\n"))
        self.assertEqual(pages.missing(["...", "e"], "a\nb\n"), "e")


class Pages(unittest.TestCase):
    def test_all_pages_can_be_read(self):
        repo = pathlib.Path(__file__).resolve().parent.parent.parent
        for path in (repo / "README.md", *(repo / "docs").glob("*.md")):
            pages.blocks(path.read_text(), path.name)


if __name__ == "__main__":
    unittest.main()
