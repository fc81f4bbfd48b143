"""Contexts that are written to while they are read. What a build takes of a file is what it hashed."""

import os
import threading

from support import LadeTest


class Changing(LadeTest):
    def meanwhile(self, change):
        """Calls change(number) over and over, until the test ends."""
        done = threading.Event()

        def work():
            number = 0
            while not done.is_set():
                change(number)
                number += 1
                done.wait(0.002)

        thread = threading.Thread(target=work)
        thread.start()

        def end():
            done.set()
            thread.join()

        self.ws.defer(end)

    def tearDown(self):
        self.ws._closing.close()
        super().tearDown()

    def test_a_log_that_grows_is_taken_as_far_as_it_was(self):
        log = self.ws.context / "app.log"
        self.write({"Dockerfile": "FROM busybox\nCOPY . /c/\nRUN wc -c < /c/app.log > /size\n", "app.log": "line\n" * 100000})

        def grow(_):
            with open(log, "a") as file:
                file.write("line\n" * 10)

        self.meanwhile(grow)
        for number in range(8):
            tree = self.image(None, name=f"{number}.tar").tree()
            self.assertEqual(tree["c/app.log"].data, b"line\n" * (tree["c/app.log"].size // 5))
            self.assertEqual(int(tree["size"].text), tree["c/app.log"].size)

    def test_a_file_that_is_written_anew_is_one_of_its_versions(self):
        self.write({"Dockerfile": "FROM busybox\nCOPY . /c/\n", "f": "0" * 5000})

        def rewrite(number):
            new = self.ws.dir / "new"
            new.write_text(str(number % 10) * (5000 + number % 7 * 100))
            new.rename(self.ws.context / "f")

        self.meanwhile(rewrite)
        for number in range(8):
            text = self.image(None, name=f"{number}.tar").tree()["c/f"].text
            self.assertEqual(len(set(text)), 1)

    def test_what_goes_while_the_context_is_scanned_is_not_there(self):
        self.write({"Dockerfile": "FROM busybox\nCOPY . /c/\n"})
        for number in range(200):
            self.write({f"d{number % 20}/stays{number}": "x"})

        def come_and_go(number):
            directory = self.ws.context / f"d{number % 20}" / "new"
            for name in ("a", "b/c"):
                self.write({name: "x"}, directory)
            os.symlink("a", directory / "link")
            os.unlink(directory / "link")
            os.unlink(directory / "a")
            os.unlink(directory / "b/c")
            os.rmdir(directory / "b")
            os.rmdir(directory)

        self.meanwhile(come_and_go)
        for number in range(8):
            tree = self.image(None, name=f"{number}.tar").tree()
            self.assertEqual(len([path for path in tree if "stays" in path]), 200)

    def test_a_file_that_changes_before_its_turn_is_read_again(self):
        self.write({"Dockerfile": "FROM busybox\nRUN sleep 3\n"
                                  "COPY f /f\nRUN cat /f > /g\n", "f": "before"})
        process = self.ws.spawn("build", "-o", f"type=oci,dest={self.ws.out}/x.tar", self.ws.context)
        # Once its step runs, the context was hashed.
        seen = b""
        while b"RUN sleep" not in seen:
            seen = process.stderr.readline()
        threading.Event().wait(0.3)
        self.write({"f": "afterwards"})
        result = self.ws.finish(process)
        self.assertEqual(result.code, 0, str(result))
        from image import Image
        tree = Image.read(self.ws.out / "x.tar").tree()
        self.assertEqual((tree["f"].text, tree["g"].text), ("afterwards", "afterwards"))
        # And the next build finds what is true of each.
        self.write({"f": "before"})
        self.assertEqual(self.tree(None)["g"].text, "before")

    def test_an_archive_that_changes_before_its_turn_is_unpacked_again(self):
        from image import make_tar
        self.write({"Dockerfile": "FROM busybox\nRUN sleep 3\nADD a.tar /x/\n", "a.tar": make_tar([("one", b"1")])})
        process = self.ws.spawn("build", "-o", f"type=oci,dest={self.ws.out}/x.tar", self.ws.context)
        seen = b""
        while b"RUN sleep" not in seen:
            seen = process.stderr.readline()
        threading.Event().wait(0.3)
        self.write({"a.tar": make_tar([("two", b"2")])})
        result = self.ws.finish(process)
        self.assertEqual(result.code, 0, str(result))
        from image import Image
        tree = Image.read(self.ws.out / "x.tar").tree()
        self.assertEqual(sorted(path for path in tree if path.startswith("x/")), ["x/two"])

    def test_a_file_that_is_gone_in_the_end_is_missing(self):
        self.write({"Dockerfile": "FROM busybox\nRUN sleep 3\nCOPY f /f\n", "f": "f"})
        process = self.ws.spawn("build", self.ws.context)
        seen = b""
        while b"RUN sleep" not in seen:
            seen = process.stderr.readline()
        threading.Event().wait(0.3)
        (self.ws.context / "f").unlink()
        self.assert_fails(self.ws.finish(process), '"/f" not found in the build context')
