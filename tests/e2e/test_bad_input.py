"""What is wrong is said, with its place, cause and remedy; and nothing is left behind."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import tarfile

from support import LadeTest

BASE = "FROM busybox\n"


class BadInput(LadeTest):
    """Each test's workspace first has a cached step, which must be a hit after the failure."""

    GOOD = BASE + "RUN echo good > /good\n"

    def setUp(self):
        super().setUp()
        self.good = self.ws.dir / "good"
        self.build(self.GOOD, context=self.good)

    def tearDown(self):
        again = self.build(context=self.good)
        self.assertEqual((again.ran, len(again.cached)), ([], 1), "the cache suffered")
        super().tearDown()

    def usage(self, *args, says=()):
        """lade must refuse the command line."""
        return self.assert_fails(self.ws.lade(*args, code=None), *says, code=2)


class BadDockerfiles(BadInput):
    def test_a_missing_dockerfile(self):
        self.assert_fails(self.build(code=None), "Dockerfile", str(self.ws.context), "-f")
        self.assert_fails(self.build(None, "-f", "/no/where", code=None), "/no/where")

    def test_an_empty_one_and_one_of_comments_only(self):
        for text in ("", "\n\n", "# nothing\n", "# syntax=docker/dockerfile:1\n\n"):
            result = self.assert_fails(text, "Dockerfile")
            self.assertRegex(result.stderr, "empty|no (build )?stage|no instruction", text)

    def test_no_from(self):
        self.assert_fails("RUN true\n", "Dockerfile:1", "FROM")
        self.assert_fails("ARG A=b\n", "Dockerfile")

    def test_an_unknown_instruction_has_a_suggestion(self):
        result = self.assert_fails(BASE + "\nRUM true\n", "Dockerfile:3", "RUM")
        self.assertRegex(result.stderr, "(?i)did you mean RUN")
        self.assertIn(">>> RUM true", result.stderr)

    def test_an_unknown_flag_has_a_suggestion(self):
        result = self.assert_fails(BASE + "COPY --chwon=1 a /\n", "Dockerfile:2", "chwon")
        self.assertRegex(result.stderr, "did you mean (--)?chown")
        self.assert_fails(BASE + "RUN --mont=type=tmpfs,target=/x true\n", "Dockerfile:2", "mount")
        self.assert_fails(BASE + "RUN --mount=type=tmpf,target=/x true\n", "Dockerfile:2", "tmpf")

    def test_json_forms_where_they_must_be(self):
        self.assert_fails(BASE + "SHELL /bin/sh\n", "Dockerfile:2", "SHELL", "JSON")
        self.assert_fails(BASE + 'CMD ["a", 1]\n', "Dockerfile:2")
        # Elsewhere what is not JSON is a shell command, as it always was.
        self.assertEqual(self.image(BASE + "CMD ['a', 'b']\n").config["config"]["Cmd"], ["/bin/sh", "-c", "['a', 'b']"])

    def test_a_range_of_lines_is_named_for_a_continued_instruction(self):
        result = self.assert_fails(BASE + "RUN true && \\\n    exit 5 \\\n    && true\nRUN later\n", "Dockerfile:2-4",
                                   "exit code: 5")
        self.assertEqual(result.stderr.count(">>>"), 3)

    def test_wrong_argument_counts_and_values(self):
        for line, said in (("COPY a\n", "COPY"), ("WORKDIR\n", "WORKDIR"), ("ENV a\n", "ENV"), ("EXPOSE x/y\n", "x/y"),
                           ("LABEL \n", "LABEL"), ("STOPSIGNAL NOSUCH\n", "NOSUCH"), ("HEALTHCHECK --interval=x CMD a\n", "x"),
                           ("ONBUILD FROM x\n", "FROM"), ("ONBUILD ONBUILD RUN x\n", "ONBUILD"),                            ("COPY --chmod=9 a /\n", "9"), ("RUN --network=moon true\n", "moon"),
                           ("ENV x=${y:?must be set}\n", "must be set"), ("ENV x=${y\n", "${y")):
            with self.subTest(line=line):
                result = self.assert_fails(BASE + line, "Dockerfile:2", said)
                self.assertNotIn("terminate called", result.stderr)

    def test_an_unterminated_heredoc(self):
        self.assert_fails(BASE + "RUN <<EOF\necho\n", "Dockerfile:2", "EOF")

    def test_a_bad_directive(self):
        self.assert_fails("# escape=x\nFROM busybox\n", "escape")
        self.assert_fails("# escape=`\n# escape=`\nFROM busybox\n", "Dockerfile:2", "escape")

    def test_an_enormous_or_binary_dockerfile(self):
        self.assert_fails("FROM busybox\n" + "# x\n" * (20 << 20), "Dockerfile")
        self.write({"Dockerfile": bytes(range(256)) * 40})
        self.assert_fails(self.build(code=None), "Dockerfile")


class BadStages(BadInput):
    def test_a_missing_target_has_a_suggestion(self):
        self.assert_fails(BASE.replace("busybox", "busybox AS builder"), "bulder", "builder", args=("--target", "bulder"))

    def test_a_stage_index_out_of_range(self):
        self.assert_fails(BASE + "COPY --from=7 /a /\n", "Dockerfile:2", "7")
        self.assert_fails(BASE + "RUN true\n", "9", args=("--target", "9"))

    def test_a_later_stage_and_oneself(self):
        self.assert_fails("FROM busybox AS a\nCOPY --from=b /x /\nFROM busybox AS b\n", "Dockerfile:2", "b",
                          args=("--target", "a"))
        self.assert_fails("FROM busybox AS a\nCOPY --from=a /x /\n", "Dockerfile:2", "circular")
        self.assert_fails("FROM busybox AS a\nRUN --mount=type=bind,from=1,target=/m true\nFROM busybox AS b\n",
                          "Dockerfile:2", args=("--target", "a"))

    def test_a_stage_that_is_not_there_is_looked_for_as_an_image(self):
        self.assert_fails("FROM busybox AS builder\nFROM busybox\nCOPY --from=bulder /x /\n", "Dockerfile:3", "bulder",
                          args=("--pull=never",))

    def test_a_bad_stage_name_and_a_duplicate(self):
        self.assert_fails("FROM busybox AS -x\n", "Dockerfile:1", "-x")
        self.assert_fails("FROM busybox AS\n", "Dockerfile:1", "FROM")

    def test_an_undeclared_argument_in_from(self):
        self.assert_fails("FROM ${NONE}\n", "Dockerfile:1")

    def test_bad_references(self):
        for name in ("Upper/Case", "a//b", "a:b:c", "name@sha256:12", "name:-tag", "..", "a" * 300):
            with self.subTest(name=name):
                self.assert_fails(f"FROM {name}\n", "Dockerfile:1", name)
                self.assert_fails(self.build(BASE, "-t", name, code=None), name, code=2)


class BadSteps(BadInput):
    def test_a_failing_run_shows_its_last_output_and_exit_code(self):
        for args in ((), ("-q",)):
            result = self.assert_fails(BASE + "RUN for i in $(seq 50); do echo line $i; done; echo to stderr >&2; exit 17\n"
                                       "RUN echo never\n", "Dockerfile:2", "exit code: 17", args=args)
            tail = result.stderr[result.stderr.index("------\n"):]
            self.assertIn("line 50\nto stderr\n------", tail)
            self.assertNotIn("never\n", result.stderr.replace("RUN echo never\n", ""))
            self.assertNotIn("line 2\n", tail)

    def test_no_output_is_written_when_a_step_fails(self):
        self.assert_fails(BASE + "RUN false\n", args=("-o", f"type=oci,dest={self.ws.out}/x.tar", "-o", self.ws.out / "dir"))
        self.assertEqual(list(self.ws.out.iterdir()), [])

    def test_a_missing_copy_source(self):
        result = self.assert_fails(BASE + "COPY file.tx /\n", "Dockerfile:2", '"/file.tx"', "not found",
                                   files={"file.txt": "x"})
        self.assertIn("file.txt", result.stderr)

    def test_a_copy_source_that_is_ignored_has_a_hint(self):
        self.assert_fails(BASE + "COPY secret /\n", "Dockerfile:2", "not found", ".dockerignore",
                          files={"secret": "x", ".dockerignore": "sec*\n"})

    def test_a_missing_source_in_a_stage(self):
        self.assert_fails("FROM busybox AS s\nFROM busybox\nCOPY --from=s /none /\n", "Dockerfile:3", "/none", "not found")

    def test_a_missing_shell(self):
        self.assert_fails("FROM scratch\nCOPY Dockerfile /\nRUN echo x\n", "Dockerfile:3", "/bin/sh")

    def test_a_working_directory_that_is_a_file(self):
        self.assert_fails(BASE + "RUN echo > /f\nWORKDIR /f\nRUN true\n", "Dockerfile:3", "/f")

    def test_bad_mounts(self):
        self.assert_fails(BASE + "RUN --mount=type=tmpfs,target=/ true\n", "Dockerfile:2", "/")
        self.assert_fails(BASE + "RUN --mount=type=bind,from=busybox,source=/none,target=/x true\n", "Dockerfile:2", "/none")
        self.assert_fails(BASE + "RUN --mount=type=cache true\n", "Dockerfile:2", "target")

    def test_what_this_version_cannot_do_is_said(self):
        self.assert_fails(BASE + "ADD ssh://x/y.git /\n", "Dockerfile:2")

    def test_insecure_needs_a_grant(self):
        self.assert_fails(BASE + "RUN --security=insecure true\n", "Dockerfile:2", "security.insecure")

    def test_a_context_that_changes_while_it_is_copied_is_no_silent_mix(self):
        self.write({"f": "f"})
        self.assert_fails(self.build(BASE + "COPY f/below /\n", code=None), "Dockerfile:2", "not found")


class BadCommandLines(BadInput):
    def test_outputs(self):
        for output, said in (("type=floppy,dest=x", "floppy"), ("type=oci,dset=x", "dest"),
                             ("type=oci,dest=x,compression=rar", "rar"), ("type=oci,dest=x,compression-level=high", "high"),
                             ("type=oci,dest=x,tar=maybe", "maybe"), ('"type=oci', "--output"), ("type=local,dest=-", "tar"),
                             ("type=image,dest", "dest")):
            with self.subTest(output=output):
                self.usage("build", "-o", output, self.good, says=(said,))
        self.assertFalse((self.ws.context / "x").exists())

    def test_options(self):
        self.usage("build", says=("CONTEXT",))
        self.usage("build", "--no-such", self.good, says=("--no-such",))
        self.usage("no-such-command")
        self.usage("build", "--pull=sometimes", self.good, says=("sometimes",))
        self.usage("build", "--build-context", "x", self.good, says=("KEY=VALUE",))
        self.usage("build", "--secret", "src=x", self.good, says=("id",))
        self.usage("build", "--secret", "id=x,src=/none", self.good, says=("/none",))
        self.usage("build", "--network", "moon", self.good, says=("moon",))
        self.usage("build", "--allow", "everything", self.good, says=("everything",))
        self.usage("build", "--progress", "loud", self.good, says=("loud",))
        self.usage("build", "--add-host", "x", self.good, says=("x",))
        self.usage("build", "--platform", "a/b/c/d", self.good, says=("a/b/c/d",))
        self.usage("build", "--max-parallelism", "-1", self.good, says=("--max-parallelism",))

    def test_a_dockerfile_that_is_a_directory_is_named(self):
        self.assert_fails(self.ws.lade("build", "-f", self.good, self.good, code=None), str(self.good), "directory")

    def test_contexts(self):
        (self.ws.dir / "file").write_text("x")
        self.assert_fails(self.ws.lade("build", "/no/such/context", code=None), "/no/such/context")
        self.assert_fails(self.ws.lade("build", self.ws.dir / "file", code=None), "not a directory")
        self.assert_fails(self.build(BASE + "COPY --from=n f /\n", "--build-context", "n=/no/such", code=None), "/no/such",
                          code=2)

    def test_output_places(self):
        (self.ws.dir / "file").write_text("x")
        (self.ws.out / "taken").mkdir()
        for output in (f"type=oci,dest={self.ws.dir}/none/x.tar", f"type=oci,dest={self.ws.dir}/file/x.tar",
                       f"type=tar,dest={self.ws.out}/taken", f"type=local,dest={self.ws.dir}/file",
                       f"type=oci,tar=false,dest={self.ws.dir}/file/x", f"type=docker,dest={self.ws.dir}/none/x"):
            with self.subTest(output=output):
                result = self.assert_fails(BASE + "RUN echo not worth running\n", str(self.ws.dir), args=("-o", output))
                self.assertNotIn("not worth running\n#", result.stderr, "the build ran first")

    def test_a_full_disk_at_the_output(self):
        place = self.ws.dir / "small"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)
        try:
            for kind in ("oci", "docker", "tar", "local"):
                dest = place / kind
                result = self.assert_fails(BASE, "No space left", args=("-o", f"type={kind},dest={dest}"))
                self.assertIn(str(place), result.stderr)
                self.assertNotIn("lade prune", result.stderr, "that frees nothing on the output's disk")
                if kind != "local":
                    self.assertEqual(list(place.iterdir()), [])
                subprocess.run(["rm", "-rf", dest], check=True)
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
            self.assert_fails(BASE, str(place), args=("-o", f"type=oci,dest={place}/x.tar"))
        finally:
            subprocess.run(["umount", place], check=True)

    def test_standard_streams_that_are_closed_at_the_start(self):
        """Descriptors of lade's own must not take their numbers: progress would go into its sockets and files."""
        self.write({"Dockerfile": BASE + "RUN echo to the log && echo made > /made\n"})
        for closed in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)):
            with self.subTest(closed=closed):
                def close(closed=closed):
                    for fd in closed:
                        os.close(fd)

                dest = self.ws.out / "x.tar"
                process = subprocess.Popen(
                    self.ws.command("build", "--no-cache", "-o", f"type=tar,dest={dest}", self.ws.context),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=close)
                self.assertEqual(process.wait(timeout=60), 0)
                with tarfile.open(dest) as tar:
                    self.assertEqual(tar.extractfile("made").read(), b"made\n")
        process = subprocess.Popen(self.ws.command("build", "-o", "type=tar,dest=-", self.ws.context),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: os.close(1))
        stderr = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, stderr)
        self.assertIn("ERROR", stderr)

    def test_a_reader_of_standard_output_that_goes_away(self):
        self.write({"Dockerfile": BASE})
        read, write = os.pipe()
        os.close(read)
        process = subprocess.Popen(self.ws.command("build", "-o", "type=oci,dest=-", self.ws.context), stdout=write,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        os.close(write)
        stderr = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 1, stderr)
        self.assertIn("ERROR", stderr)


class BadState(LadeTest):
    def test_a_state_directory_that_cannot_be(self):
        (self.ws.dir / "file").write_text("x")
        for state in (self.ws.dir / "file", self.ws.dir / "file/below", "/proc/lade-state"):
            self.assert_fails(self.build(BASE, state=state, code=None), str(state))

    def test_another_format_is_refused_and_left_alone(self):
        (self.ws.state / "format").write_text("lade-state 9999\n")
        before = sorted(str(path) for path in self.ws.state.iterdir())
        self.assert_fails(self.build(BASE, code=None), str(self.ws.state), "format")
        self.assertEqual(sorted(str(path) for path in self.ws.state.iterdir()), before)

    def test_a_directory_with_other_things_is_not_taken_over(self):
        other = self.ws.dir / "other"
        self.write({"precious": "data"}, other)
        self.assert_fails(self.build(BASE, state=other, code=None), str(other))
        self.assertEqual([path.name for path in other.iterdir()], ["precious"])

    def test_what_is_missing_in_it_is_made_again(self):
        self.build("FROM busybox\nRUN --mount=type=cache,target=/c echo x > /x\n", "-t", "app")
        for missing in ("tmp", "locks", "index", "builds", "cache-mounts", "stat-cache", "layers", "lade.db-lock", "format",
                        "reserve"):
            with self.subTest(missing):
                state = self.copy_of_state()
                path = state / missing
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                self.assertEqual(self.ws.lade("run", "app", "cat", "/x", state=state).stdout, "x\n")
                self.build(None, "-t", "app", state=state)
                self.assertIn(" 0 damaged", self.ws.lade("du", "--verify", state=state).stdout)

    def copy_of_state(self):
        state = self.ws.dir / "copy"
        shutil.rmtree(state, ignore_errors=True)
        subprocess.run(["cp", "-a", self.ws.state, state], check=True)
        return state

    def test_flipped_bytes_of_the_database_are_survived_or_named(self):
        """Some on every page: a command works, or says that the state directory is damaged and how to go on."""
        self.build("FROM busybox\nCOPY a /\nRUN --mount=type=cache,target=/c echo x > /x\nRUN echo y > /y\n", "-t", "app",
                   files={"a": "a\n"})
        with contextlib.closing(sqlite3.connect(self.ws.state / "lade.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        good = (self.ws.state / "lade.db").read_bytes()
        chance = random.Random(7)
        for page in range(0, len(good), 4096):
            used = [at for at in range(page, page + 4096) if good[at]]
            for at in chance.sample(used, min(2, len(used))):
                state = self.copy_of_state()
                for name in ("lade.db-wal", "lade.db-shm"):
                    (state / name).unlink(missing_ok=True)
                bad = bytearray(good)
                bad[at] ^= 1 << chance.randrange(8)
                (state / "lade.db").write_bytes(bad)
                for words in (("build", self.ws.context), ("run", "app", "cat", "/x"), ("prune", "-f")):
                    result = self.ws.lade(*words, state=state, code=None)
                    with self.subTest(at=at, words=words):
                        self.assertIn(result.code, (0, 1, 125), str(result))
                        if result.code:
                            self.assertRegex(result.stderr, "database|is damaged|lade rmi|mediaType|could not fetch", str(result))

    def test_an_image_name_that_is_damaged_can_be_removed(self):
        self.build("FROM scratch\nCOPY a /\n", "-t", "app", files={"a": "a\n"})
        with contextlib.closing(sqlite3.connect(self.ws.state / "lade.db")) as database:
            database.execute("UPDATE images SET descriptor = replace(descriptor, 'digest', 'digesu') WHERE name LIKE '%app%'")
            database.commit()
        for words in (("images",), ("prune", "-f"), ("run", "app")):
            result = self.assert_fails(self.ws.lade(*words, code=None), "the image name 'docker.io/library/app:latest'",
                                       "hint: forget the name with: lade rmi docker.io/library/app:latest",
                                       code=125 if words[0] == "run" else 1)
        self.assertIn("Untagged", self.ws.lade("rmi", "app").stdout)
        self.assertNotIn("app", self.ws.lade("images").stdout)
        self.build(None, "-t", "app")

    def test_a_damaged_record_is_a_miss(self):
        steps = "FROM busybox\nRUN echo x > /x\n"
        self.build(steps)
        with contextlib.closing(sqlite3.connect(self.ws.state / "lade.db")) as database:
            database.execute("UPDATE records SET inputs = substr(inputs, 1, 3), layers = substr(layers, 1, 2)")
            database.commit()
        self.assertEqual(len(self.build(steps).ran), 1)
        self.assertEqual(self.build(steps).ran, [])

    def test_a_read_only_state_directory(self):
        state = self.ws.dir / "read-only"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", state], check=True)
        try:
            self.assert_fails(self.build(BASE, state=state, code=None), str(state), "Read-only")
        finally:
            subprocess.run(["umount", state], check=True)

    def test_a_full_disk_at_the_state_directory_fails_the_step_and_space_makes_it_work(self):
        state = self.ws.dir / "small"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", state], check=True)
        try:
            subprocess.run(["cp", "-a", f"{self.ws.state}/.", state], check=True)
            dockerfile = BASE + "RUN dd if=/dev/urandom of=/big bs=1M count=20\n"
            self.assert_fails(self.build(dockerfile, state=state, code=None), "No space left", "lade prune")
            self.assert_fails(self.build(BASE + "COPY big /\n", files={"big": os.urandom(20 << 20)}, state=state, code=None),
                              "No space left", "lade prune")
            subprocess.run(["mount", "-o", "remount,size=200m", state], check=True)
            self.assertEqual(len(self.build(dockerfile, state=state).ran), 1)
        finally:
            subprocess.run(["umount", "-l", state], check=True)

    def test_imports_of_what_is_no_tar(self):
        self.write({"text": "text", "empty": "", "truncated": b"\x1f\x8b\x08\0"})
        for name in ("text", "empty", "truncated", "none"):
            self.assert_fails(self.ws.lade("import", self.ws.context / name, "x", code=None), name)
        self.assert_fails(self.ws.lade("import", self.ws.context / "text", "Bad Name", code=None), "Bad Name",
                          code=2)
        self.assert_fails("FROM x\n", "Dockerfile:1", args=("--pull=never",))
