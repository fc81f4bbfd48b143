"""What is run again and what is not."""

import json
import os
import time

from support import LadeTest

STEPS = """FROM busybox
RUN echo one > /one
COPY a.txt /dst/
RUN cat /dst/a.txt > /two
COPY b.txt /dst/
"""
FILES = {"a.txt": "a\n", "b.txt": "b\n"}


def instructions(names):
    """'[2/4] RUN echo one > /one' -> 'RUN echo one > /one'."""
    return [name.partition("] ")[2] for name in names]


class Caching(LadeTest):
    def build_steps(self, *args):
        return self.build(None, *args)

    def setUp(self):
        super().setUp()
        self.write({"Dockerfile": STEPS, **FILES})
        self.first = self.build_steps()
        self.assertEqual(len(self.first.ran), 4)

    def assert_ran(self, result, *expected):
        """Exactly these instructions (by their start) ran, all the others were cached."""
        ran = instructions(result.ran)
        self.assertEqual(len(ran), len(expected), str(result))
        for name, start in zip(sorted(ran), sorted(expected)):
            self.assertTrue(name.startswith(start), str(result))
        return result

    def assert_nothing_runs(self, *args):
        result = self.assert_ran(self.build_steps(*args))
        self.assertEqual(sorted(result.cached), sorted(self.first.ran), str(result))

    def test_same_inputs_run_nothing_and_say_cached_on_each_step(self):
        self.assert_nothing_runs()

    def test_changed_bytes_rerun_that_copy_and_what_follows(self):
        self.write({"a.txt": "A\n"})
        result = self.assert_ran(self.build_steps(), "COPY a.txt", "RUN cat", "COPY b.txt")
        self.assertEqual(instructions(result.cached), ["RUN echo one > /one"])

    def test_changed_bytes_of_the_same_size_and_mtime_are_noticed(self):
        path = self.ws.context / "b.txt"
        before = path.stat()
        path.write_text("B\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assert_ran(self.build_steps(), "COPY b.txt")

    def test_a_base_image_that_was_rebuilt_with_another_config_reruns_nothing(self):
        app = "FROM base\nRUN echo one > /one\nCOPY a.txt /dst/\n"
        digests = []
        for label, ran in (("one", 2), ("two", 0)):
            base = self.build(f"FROM busybox\nRUN echo base > /base\nLABEL a={label}\n", "-t", "base", "-q")
            digests.append(base.stdout)
            self.assertEqual(len(self.build(app).ran), ran)
        self.assertNotEqual(*digests)

    def test_touch_alone_reruns_nothing(self):
        for name in ("a.txt", "b.txt", "Dockerfile"):
            os.utime(self.ws.context / name, (1700000000, 1700000000))
        os.utime(self.ws.context, (1700000000, 1700000000))
        self.assert_nothing_runs()

    def test_chmod_reruns_the_copy(self):
        (self.ws.context / "b.txt").chmod(0o755)
        self.assert_ran(self.build_steps(), "COPY b.txt")

    def test_another_owner_in_the_context_reruns_nothing(self):
        os.chown(self.ws.context / "a.txt", 1234, 1234)
        self.assert_nothing_runs()

    def test_a_new_xattr_reruns_the_copy(self):
        os.setxattr(self.ws.context / "b.txt", "user.lade", b"1")
        self.assert_ran(self.build_steps(), "COPY b.txt")

    def test_a_moved_context_hits(self):
        moved = self.ws.dir / "elsewhere"
        self.ws.run("cp", "-a", self.ws.context, moved)
        self.assert_ran(self.build(None, context=moved))

    def test_a_file_that_no_instruction_copies_reruns_nothing(self):
        self.write({"other.txt": "new\n"})
        self.assert_nothing_runs()

    def test_a_comment_and_blank_lines_rerun_nothing(self):
        self.write({"Dockerfile": "# said\n\n" + STEPS.replace("COPY b", "\n# more\n\nCOPY b")})
        self.assert_nothing_runs()

    def test_another_spelling_of_the_same_instruction_reruns_nothing(self):
        self.write({"Dockerfile": STEPS.replace("COPY a.txt /dst/", "copy   a.txt \\\n   /dst/")})
        self.assert_ran(self.build_steps())

    def test_no_cache_runs_all(self):
        result = self.build_steps("--no-cache")
        self.assertEqual((sorted(result.ran), result.cached), (sorted(self.first.ran), []))

    def test_without_cache_cache_mounts_begin_empty(self):
        def seen(name, *args):
            dockerfile = (f"FROM busybox\nRUN --mount=type=cache,target=/c touch /c/{name} && ls /c > /seen\n"
                          f"RUN --mount=type=cache,target=/c,sharing=locked touch /c/{name}2 && ls /c > /seen2\n")
            tree = self.image(dockerfile, *args, name=f"{name}.tar").tree()
            return [tree[path].text.split() for path in ("seen", "seen2")]

        self.assertEqual(seen("a"), [["a"], ["a", "a2"]])
        self.assertEqual(seen("b", "--no-cache"), [["b"], ["b", "b2"]])
        self.assertEqual(seen("c")[1], ["b", "b2", "c", "c2"])

    def test_after_no_cache_the_new_results_are_the_cached_ones(self):
        self.write({"Dockerfile": "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n"})
        first = self.image(None, name="1.tar").tree()["id"].data
        second = self.image(None, "--no-cache", name="2.tar").tree()["id"].data
        third = self.image(None, name="3.tar").tree()["id"].data
        self.assertNotEqual(first, second)
        self.assertEqual(second, third)

    def test_a_changed_instruction_reruns_it_and_later_ones_unless_the_result_is_the_same(self):
        self.write({"Dockerfile": STEPS.replace("echo one", "echo  one")})
        result = self.build_steps()
        self.assertEqual(instructions(result.ran), ["RUN echo  one > /one"])
        self.write({"Dockerfile": STEPS.replace("echo one", "echo ONE")})
        self.assertEqual(len(self.build_steps().ran), 4)

    def test_labels_env_and_cmd_after_the_steps_rerun_nothing(self):
        self.write({"Dockerfile": STEPS + "ENV x=y\nLABEL l=m\nCMD [\"z\"]\nEXPOSE 1\n"})
        self.assert_nothing_runs()
        self.assert_nothing_runs("--label", "more=1", "-t", "other")

    def test_env_before_a_run_reruns_it_even_if_the_result_is_the_same(self):
        self.write({"Dockerfile": STEPS.replace("RUN cat", "ENV x=y\nRUN cat")})
        self.assertEqual(instructions(self.build_steps().ran), ["RUN cat /dst/a.txt > /two"])


class CachingOfOtherFiles(LadeTest):
    def test_changes_of_dockerignored_files_rerun_nothing(self):
        files = {".dockerignore": "ignored\n*.log\n!kept.log\n", "ignored/x": "1", "y.log": "1", "kept.log": "1",
                 "z": "1"}
        self.build("FROM busybox\nCOPY . /all/\n", files=files)
        self.write({"ignored/x": "2", "ignored/new": "2", "y.log": "2", "z.log": "2"})
        self.assertEqual(self.build().ran, [])
        self.write({"kept.log": "2"})
        self.assertEqual(len(self.build().ran), 1)

    def test_a_source_stage_with_the_same_output_is_a_hit_downstream(self):
        dockerfile = """FROM busybox AS source
COPY input /
RUN head -n 1 /input > /out
FROM busybox
COPY --from=source /out /
RUN cat /out
"""
        self.build(dockerfile, files={"input": "first\nsecond\n"})
        result = self.build(files={"input": "first\nchanged\n"})
        self.assertEqual(instructions(result.ran), ["COPY input /", "RUN head -n 1 /input > /out"])
        self.assertIn("RUN cat /out", instructions(result.cached))

    def test_a_run_after_a_run_with_the_same_output_is_a_hit(self):
        dockerfile = "FROM busybox\nARG A\nRUN echo $A > /dev/null; echo same > /f\nRUN cat /f > /g\n"
        # An ARG is part of each RUN's key, so only a change of text is early-cutoff material.
        self.build(dockerfile)
        result = self.build(dockerfile.replace("> /dev/null", ">/dev/null"))
        self.assertEqual(instructions(result.ran), ["RUN echo $A >/dev/null; echo same > /f"])
        self.assertEqual(instructions(result.cached), ["RUN cat /f > /g"])

    def test_a_copied_files_source_stage_is_not_run_when_its_consumer_is_cached(self):
        text = "FROM busybox AS s\nRUN echo x > /x\nFROM busybox\nCOPY --from=s /x /\n"
        self.build(text)
        result = self.build(text)
        self.assertEqual(result.ran, [])

    def test_an_arg_reruns_only_steps_after_its_declaration(self):
        dockerfile = "FROM busybox\nRUN echo before\nARG V=1\nCOPY f /\nRUN echo after $V\n"
        first = self.build(dockerfile, files={"f": "f"})
        self.assertEqual(len(first.ran), 3)
        result = self.build(None, "--build-arg", "V=2")
        self.assertEqual(instructions(result.ran), ["RUN echo after 2" if "after 2" in str(result.ran)
                                                    else "RUN echo after $V"])
        self.assertEqual(instructions(result.cached), ["RUN echo before", "COPY f /"])
        again = self.build(None, "--build-arg", "V=1")
        self.assertEqual(again.ran, [])

    def test_proxy_arguments_are_no_part_of_a_key(self):
        dockerfile = "FROM busybox\nRUN echo \"$http_proxy\" > /dev/null\n"
        self.build(dockerfile, "--build-arg", "http_proxy=http://one.invalid")
        self.assertEqual(self.build(None, "--build-arg", "http_proxy=http://two.invalid").ran, [])

    def test_secret_values_are_no_part_of_a_key_and_not_in_the_image(self):
        secret = self.ws.dir / "secret"
        secret.write_text("s3cr3t-one")
        dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /size\n"
        image = self.image(dockerfile, "--secret", f"id=s,src={secret}")
        self.assertEqual(image.tree()["size"].text.strip(), "10")
        self.assertFalse([name for name in image.tree() if name.startswith("run")])
        secret.write_text("another and longer")
        self.assertEqual(self.build(None, "--secret", f"id=s,src={secret}").ran, [])

    def test_copy_from_a_changed_directory_reruns_for_a_removed_and_a_renamed_file(self):
        dockerfile = "FROM busybox\nCOPY d /d\n"
        self.build(dockerfile, files={"d/1": "1", "d/2": "2"})
        (self.ws.context / "d/2").rename(self.ws.context / "d/3")
        self.assertEqual(len(self.build().ran), 1)
        self.assertEqual(set(self.tree(None)) & {"d/1", "d/2", "d/3"}, {"d/1", "d/3"})
        (self.ws.context / "d/3").unlink()
        self.assertEqual(len(self.build().ran), 1)

    def test_the_cache_survives_a_failing_build(self):
        good = "FROM busybox\nRUN echo good > /good\n"
        self.assert_fails(good + "RUN exit 3\n", "exit code: 3")
        result = self.build(good)
        self.assertEqual((result.ran, len(result.cached)), ([], 1))

    def test_an_empty_directory_and_a_symlinks_target_count(self):
        dockerfile = "FROM busybox\nCOPY d /d\n"
        self.build(dockerfile, files={"d/sub": None, "d/1": "", "d/2": ""})
        link = self.ws.context / "d/link"
        link.symlink_to("1")
        self.assertEqual(len(self.build().ran), 1)
        link.unlink()
        link.symlink_to("2")
        self.assertEqual(len(self.build().ran), 1)
        (self.ws.context / "d/sub").rmdir()
        self.assertEqual(len(self.build().ran), 1)
        self.assertEqual(self.build().ran, [])


class LargeContext(LadeTest):
    def test_its_size_and_how_to_make_it_smaller_are_told_while_it_is_read(self):
        self.write({"Dockerfile": "FROM scratch\nCOPY . /\n"})
        for number in range(3):
            with open(self.ws.context / f"big{number}", "wb") as file:
                file.truncate(400_000_000)  # holes read as any file does
        time.sleep(0.1)  # a file that has just changed is read again
        result = self.build()
        self.assertRegex(result.stderr, r"#\d+ \[internal\] load build context\n"
                                        r"#\d+ 1.2GB in 4 files are to be read: a .dockerignore leaves out what no COPY needs\n"
                                        r"#\d+ reading files \d+.\d+MB / 1.20GB\n")
        self.assertNotIn("reading files", self.build().stderr)
        self.write({".dockerignore": "big*\n"})
        self.assertNotIn(".dockerignore leaves out", self.build().stderr)

    def test_of_a_context_of_the_usual_size_nothing_is_said(self):
        result = self.build("FROM scratch\nCOPY . /\n", files={"a": "a"})
        self.assertNotIn("to be read", result.stderr)
        self.assertNotIn("reading files", result.stderr)


class Explain(LadeTest):
    """`lade explain`: what is said of the last build."""

    def explain(self, *args, **run):
        return self.ws.lade("explain", *args, **run).stdout

    def test_each_step_says_why_it_ran(self):
        self.build(STEPS, files=FILES)
        self.assertIn("RAN         [2/5] RUN echo one > /one (line 2)\n            no step like it has run before\n", self.explain())
        self.build(None)
        self.assertNotIn("RAN", self.explain())
        self.write({"b.txt": "B\n"})
        self.build(None)
        said = self.explain()
        self.assertIn("CACHED      [4/5] RUN cat /dst/a.txt > /two (line 4)\n", said)
        self.assertIn("RAN         [5/5] COPY b.txt /dst/ (line 5)\n            what it reads of the build context changed\n"
                      "              changed: /b.txt, copied to /dst/b.txt (content)\n", said)
        self.build(STEPS.replace("echo one", "echo uno"))
        said = self.explain("3")
        self.assertIn("command changed: '/bin/sh -c echo one > /one' -> '/bin/sh -c echo uno > /one'", self.explain("2"))
        self.assertEqual(said.count("COPY"), 1)
        self.assertIn("COPY a.txt", said)

    def test_changed_variables_are_named(self):
        dockerfile = "FROM busybox\nARG A=1\nENV B=x\nRUN true\n"
        self.build(dockerfile)
        self.build(None, "--build-arg=A=2")
        self.assertIn("env A changed: 'A=1' -> 'A=2'", self.explain("run true"))

    def test_a_step_of_several_lines_is_found_by_each(self):
        self.build("FROM busybox\nRUN true && \\\n  echo two \\\n  three\nRUN <<END\necho four\nEND\nRUN echo last\n")
        for line, name in ((2, "[2/4] RUN true && echo two three (lines 2-4)"), (3, "lines 2-4"), (4, "lines 2-4"),
                           (5, "lines 5-7"), (6, "lines 5-7"), (7, "lines 5-7"), (8, "(line 8)")):
            said = self.explain(str(line))
            self.assertIn(name, " ".join(said.split()), line)
            self.assertEqual(said.count("RAN "), 1, said)
        self.assertIn("has no step '9'", self.ws.lade("explain", "9", code=1).stderr)
        self.assertIn("has no step '0'", self.ws.lade("explain", "0", code=1).stderr)

    def test_what_a_failure_kept_from_running_was_not_reached(self):
        self.build("FROM busybox\nRUN true\nRUN false\nRUN echo later\n", code=1)
        said = self.explain()
        self.assertIn("FAILED      [3/4] RUN false (line 3)\n", said)
        self.assertIn("NOT REACHED [4/4] RUN echo later (line 4)\n            the build ended before it was done\n", said)
        self.assertNotIn("NOT NEEDED", said)

    def test_builds_of_one_second_are_compared_with_the_one_before(self):
        for number in range(4):
            self.build("FROM busybox\nCOPY dir /dir\n", files={f"dir/{number}": "x"})
            said = self.explain("2")
            if number > 0:
                self.assertEqual(said.count("added: "), 1, said)
                self.assertIn(f"added: /dir/{number}\n", said)

    def test_copied_files_are_named_by_their_sources(self):
        dockerfile = "FROM busybox\nCOPY a.txt /renamed\nCOPY dir /else\nCOPY *.md /docs/\nCOPY b.txt /b.txt\n"
        files = {"a.txt": "1", "dir/x/y": "1", "dir/z": "1", "r.md": "1", "b.txt": "1"}
        self.build(dockerfile, files=files)
        self.build(None, files={name: "2" for name in files})
        said = self.explain()
        for line in ("/a.txt, copied to /renamed", "/dir/x/y, copied to /else/x/y", "/dir/z, copied to /else/z",
                     "/r.md, copied to /docs/r.md", "/b.txt"):
            self.assertIn(f"changed: {line} (content)\n", said)

    def test_options_have_words_and_long_texts_are_cut(self):
        long = " && ".join(f"echo {number}" for number in range(60))
        self.build(f"FROM busybox\nRUN {long} && echo old && {long}\nRUN --network=default true\n")
        self.build(f"FROM busybox\nRUN {long} && echo new && {long}\nRUN --network=none true\n")
        said = self.explain()
        self.assertIn("network changed: 'default' -> 'none'\n", said)
        self.assertRegex(said, r"command changed: \.\.\.'[^']*echo old[^']*'\.\.\. -> \.\.\.'[^']*echo new[^']*'\.\.\.\n")
        self.assertLess(max(map(len, said.splitlines())), 260, said)

    def test_it_is_json_for_scripts(self):
        self.build(STEPS, files=FILES)
        steps = json.loads(self.explain("--format=json"))["steps"]
        self.assertEqual([(step["line"], step["outcome"]) for step in steps],
                         [(line, "ran") for line in (2, 3, 4, 5)])

    def test_what_is_not_there_is_an_error(self):
        self.assertIn("nothing has been built here yet", self.ws.lade("explain", code=1).stderr)
        self.build(STEPS, files=FILES)
        self.assertIn("has no step 'zzz'", self.ws.lade("explain", "zzz", code=1).stderr)
        self.assertIn("--format", self.ws.lade("explain", "--format=xml", code=2).stderr)
