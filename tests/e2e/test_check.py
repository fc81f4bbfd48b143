"""Build checks: as warnings of a build, as its end, and alone; and what else --call can tell of a Dockerfile."""

import json

from support import LadeTest, busybox_tar

SLOPPY = """\
# syntax=docker/dockerfile:1
ARG TAG=latest
# build makes it
FROM busybox:${TAG} as build
ARG MODE=fast
RUN --mount=type=secret,id=token,required=true --mount=type=cache,target=/cache echo ran

FROM busybox AS Unused
MAINTAINER me

FROM busybox
COPY --from=build /bin/busybox /b
CMD echo $HOM
"""
SKIPPED = "# check=skip=FromAsCasing,StageNameCasing,MaintainerDeprecated,JSONArgsRecommended\n"


class Warnings(LadeTest):
    def test_a_build_ends_with_its_warnings(self):
        result = self.build("FROM busybox as a\nMAINTAINER me\nENV b=$PHAT\n")
        self.assertTrue(result.stderr.endswith(
            "\n 3 warnings found (use --debug to expand):\n"
            " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)\n"
            " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)\n"
            " - UndefinedVar: Usage of undefined variable '$PHAT' (did you mean $PATH?) (line 3)\n"), str(result))
        self.assertEqual(result.stdout, "")

    def test_in_full_and_not_at_all(self):
        text = "FROM busybox\nMAINTAINER me\n"
        full = self.build(text, "--debug").stderr
        self.assertIn("\n 1 warning found:\n - MaintainerDeprecated: ", full)
        self.assertIn("More info: https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\n", full)
        self.assertIn("   2 | >>> MAINTAINER me\n", full)
        self.assertNotIn("warning", self.build(text, "--quiet", "-t", "x").stderr)
        self.assertNotIn("found", self.build("FROM busybox\nLABEL a=b\n").stderr)

    def test_only_of_stages_that_are_built(self):
        result = self.build("FROM busybox AS a\nCMD a\nFROM busybox\nCMD b\n")
        self.assertIn("(line 4)", result.stderr)
        self.assertNotIn("(line 2)", result.stderr)

    def test_once_for_several_platforms(self):
        result = self.build("FROM scratch\nENV a=$foo\n", "--platform", "linux/amd64,linux/arm64")
        self.assertIn(" 1 warning found", result.stderr)

    def test_the_directive_and_the_build_argument_that_replaces_it(self):
        text = "# check=skip=MaintainerDeprecated\nFROM busybox as a\nMAINTAINER me\n"
        self.assertIn(" - FromAsCasing", self.build(text).stderr)
        result = self.build(text, "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing")
        self.assertIn(" - MaintainerDeprecated", result.stderr)
        self.assertNotIn(" - FromAsCasing", result.stderr)
        self.assert_fails("# check=skp=x\nFROM busybox\n", "Dockerfile:1", 'invalid check option "skp"')

    def test_as_errors_they_end_the_build_before_any_step(self):
        text = "# check=error=true\nFROM busybox\nRUN echo ran\nCMD a\n"
        result = self.assert_fails(text, "lint violation found for rules: JSONArgsRecommended",
                                   " - JSONArgsRecommended: ")
        self.assertEqual(result.ran, [])
        self.assertEqual(self.build(text.replace("CMD a", 'CMD ["a"]')).ran, ["[2/2] RUN echo ran"])

    def test_a_failing_build_has_them_too(self):
        self.assert_fails("FROM busybox as a\nRUN false\n", " - FromAsCasing: ", "ERROR: ")

    def test_what_dockerignore_excludes(self):
        result = self.assert_fails("FROM busybox\nCOPY a.o /\n",
                                   'CopyIgnoredFile: Attempting to Copy file "a.o" that is excluded by .dockerignore',
                                   "hint: it exists but is excluded by .dockerignore:2 ('*.o')",
                                   files={"a.o": "x", ".dockerignore": "# objects\n*.o\nother\n"})
        self.assertIn("Dockerfile:2", result.stderr)


class Check(LadeTest):
    def check(self, text, *args, code, **run):
        return self.build(text, "--check", *args, code=code, **run)

    def test_a_clean_file(self):
        result = self.check("FROM busybox\nRUN echo ran\n", code=0)
        self.assertEqual((result.stdout, result.stderr), ("Check complete, no warnings found.\n", ""))

    def test_warnings_are_shown_with_their_lines_and_nothing_is_built(self):
        result = self.check("FROM busybox\nRUN echo ran\nMAINTAINER me\n", code=1)
        self.assertEqual(result.stdout, """\
Check complete, 1 warning has been found!

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:3
--------------------
   1 |     FROM busybox
   2 |     RUN echo ran
   3 | >>> MAINTAINER me
   4 |     \n--------------------
""")
        self.assertEqual(result.stderr, "")

    def test_all_stages_or_those_of_a_target(self):
        everything = self.check(SLOPPY, code=1).stdout
        for rule in "FromAsCasing", "StageNameCasing", "MaintainerDeprecated", "JSONArgsRecommended":
            self.assertIn(f"WARNING: {rule} - ", everything)
        self.assertIn("4 warnings have been found!", everything)
        one = self.check(None, "--target", "build", code=1).stdout
        self.assertIn("3 warnings have been found!", one)  # those of the text alone
        self.assertNotIn("JSONArgsRecommended", one)
        self.assertEqual(self.check(SKIPPED + SLOPPY, code=0).stdout, "Check complete, no warnings found.\n")

    def test_the_exit_code_can_be_ignored(self):
        self.build("FROM busybox\nMAINTAINER me\n", "--call=check,ignorestatus=true")
        self.build(None, "--call=lint", code=1)

    def test_json(self):
        result = json.loads(self.build("FROM busybox\nMAINTAINER \\\n me\n", "--call=check,format=json", code=1).stdout)
        warning, = result["warnings"]
        self.assertEqual(warning["ruleName"], "MaintainerDeprecated")
        self.assertEqual(warning["detail"], "Maintainer instruction is deprecated in favor of using label")
        self.assertEqual([part["start"]["line"] for part in warning["location"]["ranges"]], [2, 3])
        self.assertEqual(result["sources"][0]["filename"], "Dockerfile")
        clean = json.loads(self.build("FROM busybox\n", "--call=check,format=json").stdout)
        self.assertIsNone(clean["warnings"])

    def test_what_would_end_a_build_ends_the_check(self):
        result = self.assert_fails(self.check("FROM busybox as a\nRUM x\n", code=None), "Dockerfile:2", "did you mean RUN?")
        self.assertIn("WARNING: FromAsCasing", result.stdout)
        self.assert_fails(self.check("FROM busybox\nCOPY --from=no.example/such /a /\n", code=None), "Dockerfile:2")
        result = self.assert_fails(self.build("FROM busybox\nRUM x\n", "--call=check,format=json", code=None))
        self.assertEqual(json.loads(result.stdout)["buildError"]["location"]["ranges"][0]["start"]["line"], 2)
        self.assert_fails(self.check("# check=error=true\nFROM busybox as a\n", code=None),
                          "lint violation found for rules: FromAsCasing")

    def test_a_base_image_for_another_platform(self):
        result = self.check("FROM busybox\n", "--platform", "linux/s390x", code=1)
        self.assertRegex(result.stdout, r'WARNING: InvalidBaseImagePlatform\nBase image busybox was pulled with platform '
                                        r'"linux/\w+", expected "linux/s390x" for current build\nDockerfile:1\n')

    def test_only_configs_of_base_images_are_asked_for(self):
        registry = self.ws.registry()
        self.ws.lade("import", busybox_tar(), "base:1")
        archive = self.ws.dir / "base.tar"
        self.build("FROM base:1\n", "-o", f"type=oci,dest={archive}")
        registry.push(f"oci-archive:{archive}", "base:1")
        state = self.ws.new_state(None, "state-empty")
        self.check(f"FROM {registry.host}/base:1\nRUN echo ran\n", code=0, state=state)
        blobs = [line for line in registry.requests() if line.startswith("GET") and "/blobs/" in line]
        self.assertEqual(len(blobs), 1, blobs)


class Call(LadeTest):
    def test_outline(self):
        result = self.build(SLOPPY, "--call=outline", "--target", "build")
        self.assertEqual(result.stdout, """\
TARGET:      build
DESCRIPTION: makes it

BUILD ARG   VALUE    DESCRIPTION
TAG         latest   
MODE        fast     

SECRET   REQUIRED
token    true

CACHE MOUNT
/cache

""")
        document = json.loads(self.build(None, "--call=outline,format=json", "--build-arg", "MODE=slow").stdout)
        self.assertEqual([(arg["name"], arg["value"]) for arg in document["args"]], [("TAG", "latest"), ("MODE", "slow")])
        self.assertEqual(document["secrets"][0]["location"]["ranges"][0]["start"]["line"], 6)

    def test_targets_need_no_base_image(self):
        text = SLOPPY.replace("busybox", "no.example/such")
        state = self.ws.dir / "nothing"
        self.assertEqual(self.build(text, "--call", "targets", state=state).stdout,
                         "TARGET    DESCRIPTION\nbuild     makes it\nunused    \n(default) \n")
        self.assertFalse(state.exists())
        document = json.loads(self.build(None, "--call=targets,format=json").stdout)
        self.assertEqual(document["targets"][0], {
            "name": "build", "description": "makes it", "base": "no.example/such:${TAG}",
            "location": {"ranges": [{"start": {"line": 4}, "end": {"line": 4}}]}})
        self.assertEqual(document["targets"][2]["default"], True)

    def test_methods(self):
        self.assertIn("outline", self.build("FROM busybox\n", "--call=subrequests.describe").stdout)

    def test_an_unknown_method_is_refused(self):
        self.assert_fails(self.build("FROM busybox\n", "--call=outlin", code=None), "did you mean outline?", code=2)


class Frontends(LadeTest):
    def test_the_official_ones_are_built_in(self):
        for name in "docker/dockerfile:1", "docker.io/docker/dockerfile:1.19-labs", "docker/dockerfile-upstream:master":
            self.build(f"# syntax={name}\nFROM busybox\n")

    def test_another_is_refused_at_its_line(self):
        result = self.assert_fails("# check=skip=all\n# syntax=other/frontend:1\nwhatever\n", "Dockerfile:2",
                                   "frontend image 'other/frontend:1' is not supported", "BUILDKIT_SYNTAX")
        self.assertIn(">>> # syntax=other/frontend:1", result.stderr)
        self.build("# syntax=other/frontend:1\nFROM busybox\n", "--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1")
        self.assert_fails("FROM busybox\n", "'other/frontend'", args=["--build-arg", "BUILDKIT_SYNTAX=other/frontend"])


class Hints(LadeTest):
    """One slip of the pen each."""

    def test_in_the_text(self):
        for instruction, hint in {
                "COPPY a /": "did you mean COPY?",
                "RUN --mont=type=tmpfs,target=/x true": "did you mean --mount?",
                "RUN --network=hst true": "did you mean host?",
                "RUN --security=insecur true": "did you mean insecure?",
                "RUN --mount=type=cahe,target=/x true": "did you mean cache?",
                "RUN --mount=type=tmpfs,taget=/x true": "did you mean target?",
                "RUN --mount=type=cache,target=/x,sharing=lokced true": "did you mean locked?",
                "COPY --form=a a /": "did you mean --from?",
                "ADD --chekcsum=x a /": "did you mean --checksum?",
                "HEALTHCHECK --intervall=1s CMD true": "did you mean --interval?",
        }.items():
            with self.subTest(instruction):
                self.assert_fails(f"FROM busybox\n{instruction}\n", "Dockerfile:2", f"hint: {hint}")

    def test_in_names_of_stages(self):
        stages = "FROM busybox AS builder\n"
        self.assert_fails(stages + "FROM bulider\n", "Dockerfile:2", "hint: did you mean the stage builder?")
        self.assert_fails(stages + "FROM busybox\nCOPY --from=buidler / /\n", "Dockerfile:3",
                          "hint: did you mean the stage builder?")
        self.assert_fails(stages + "FROM busybox\nRUN --mount=from=build3r,target=/x true\n", "Dockerfile:3",
                          "hint: did you mean the stage builder?")
        self.assert_fails(stages, "hint: did you mean builder?", args=["--target", "bilder"])

    def test_in_names_of_files(self):
        files = {"src/main.cpp": "x", "README.md": "x"}
        for source, meant in {"src/mian.cpp": "/src/main.cpp", "readme.md": "/README.md", "scr": "/src"}.items():
            with self.subTest(source):
                self.assert_fails(f"FROM busybox\nCOPY {source} /\n", "Dockerfile:2",
                                  f"hint: did you mean {meant}?", files=files)
        self.assert_fails("FROM busybox AS a\nRUN echo x > /result.txt\nFROM busybox\nCOPY --from=a /reslut.txt /\n",
                          "Dockerfile:4", "hint: did you mean /result.txt?")
