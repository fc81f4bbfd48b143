"""Dockerfile text, variables, stages, and the image config they make."""

from support import LadeTest

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Config(LadeTest):
    def config(self, dockerfile, *args, **run):
        return self.image(dockerfile, *args, **run).config["config"]

    def test_entrypoint_clears_an_inherited_cmd_but_not_ones_own(self):
        parent = 'FROM busybox AS p\nCMD ["parent"]\nENTRYPOINT ["pe"]\nFROM p\n'
        self.assertNotIn("Cmd", self.config(parent + 'ENTRYPOINT ["e"]\n'))
        self.assertEqual(self.config(parent + 'CMD ["own"]\nENTRYPOINT ["e"]\n')["Cmd"], ["own"])
        inherited = self.config(parent + "ENV a=b\n")
        self.assertEqual((inherited["Entrypoint"], inherited["Cmd"]), (["pe"], ["parent"]))

    def test_shell_forms_are_wrapped_by_the_shell_of_the_moment(self):
        config = self.config('FROM busybox\nENTRYPOINT a "b c" $d\nSHELL ["/bin/other", "-x"]\nCMD e f\n')
        self.assertEqual(config["Entrypoint"], ["/bin/sh", "-c", 'a "b c" $d'])
        self.assertEqual((config["Cmd"], config["Shell"]), (["/bin/other", "-x", "e f"], ["/bin/other", "-x"]))

    def test_a_missing_path_is_added_for_scratch_too_and_a_given_one_stays(self):
        self.assertEqual(self.config("FROM scratch\nCOPY Dockerfile /\n")["Env"], [PATH])
        self.assertEqual(self.config("FROM busybox\nENV PATH=/bin a=b\n")["Env"], ["PATH=/bin", "a=b"])

    def test_lists_and_maps_of_metadata(self):
        config = self.config("FROM busybox\nEXPOSE 8000-8002/udp 53\nVOLUME /v /w\nVOLUME [\"/x y\"]\nLABEL a=1 \"b c\"='d e'\n"
                             "LABEL a=2\nSTOPSIGNAL 9\nUSER 5:6\nHEALTHCHECK --interval=1m --start-period=2s --start-interval=3s "
                             "CMD [\"x\"]\n")
        self.assertEqual(sorted(config["ExposedPorts"]), ["53/tcp", "8000/udp", "8001/udp", "8002/udp"])
        self.assertEqual(sorted(config["Volumes"]), ["/v", "/w", "/x y"])
        self.assertEqual(config["Labels"], {"a": "2", "b c": "d e"})
        self.assertEqual((config["StopSignal"], config["User"]), ("9", "5:6"))
        self.assertEqual(config["Healthcheck"], {"Test": ["CMD", "x"], "Interval": 60 * 10**9, "StartPeriod": 2 * 10**9,
                                                 "StartInterval": 3 * 10**9})
        self.assertEqual(self.config("FROM busybox\nHEALTHCHECK NONE\n")["Healthcheck"], {"Test": ["NONE"]})

    def test_workdir_is_relative_to_the_last_and_made_for_the_user(self):
        image = self.image("FROM busybox\nWORKDIR /a\nWORKDIR b\nRUN echo 'u:x:7:8::/:/bin/sh' >> /etc/passwd\nUSER u\n"
                           "WORKDIR ../c\nWORKDIR /\nRUN pwd > /tmp/pwd\n")
        tree = image.tree()
        self.assertEqual((tree["a/b"].owner, tree["a/b"].mode, tree["a/c"].owner), ((0, 0), 0o755, (7, 8)))
        self.assertEqual((image.config["config"]["WorkingDir"], tree["tmp/pwd"].text), ("/", "/\n"))

    def test_files_written_below_a_volume_stay(self):
        self.assertEqual(self.tree("FROM busybox\nVOLUME /v\nRUN mkdir /v && echo kept > /v/f\n")["v/f"].text, "kept\n")

    def test_history_has_one_entry_per_instruction_and_marks_empty_layers(self):
        image = self.image("FROM busybox\nARG A=1\nENV B=2\nRUN true\nWORKDIR /w\nWORKDIR /\nCOPY Dockerfile /\nLABEL x=y\n",
                           "--label", "option=none")
        history = [(entry["created_by"], entry.get("empty_layer", False)) for entry in image.config["history"][1:]]
        self.assertEqual(history, [("ARG A=1", True), ("ENV B=2", True), ("RUN |1 A=1 /bin/sh -c true # buildkit", False),
                                   ("WORKDIR /w", False), ("WORKDIR /", True), ("COPY Dockerfile / # buildkit", False),
                                   ("LABEL x=y", True)])
        self.assertEqual(len(image.layers), 4)


class Variables(LadeTest):
    def log(self, dockerfile, *args, **run):
        return self.build(dockerfile, *args, **run).log("RUN")

    def test_an_instruction_sees_the_environment_before_it(self):
        self.assertEqual(self.log("FROM busybox\nENV a=1\nENV a=2 b=$a\nRUN echo $a$b\n"), ["21"])

    def test_all_forms_of_expansion(self):
        forms = {"$v": "value", "${v}x": "valuex", "${n:-d}": "d", "${e:-d}": "d", "${e-d}": "", "${n-d}": "d", "${v:+p}": "p",
                 "${e:+p}": "", "${e+p}": "p", "${f#*/}": "b/c.tar.gz", "${f##*/}": "c.tar.gz", "${f%.*}": "a/b/c.tar",
                 "${f%%.*}": "a/b/c", "${v/a/A}": "vAlue", "${f//\\//-}": "a-b-c.tar.gz", "\\$v": "$v", "'$v'": "$v",
                 "\"$v\"": "value", "${v:?no}": "value", "${n:-${v}}": "value"}
        lines = "".join(f"LABEL l{i}={form}\n" for i, form in enumerate(forms))
        labels = self.image("FROM busybox\nENV v=value e= f=a/b/c.tar.gz\n" + lines).config["config"]["Labels"]
        self.assertEqual({form: labels[f"l{i}"] for i, form in enumerate(forms)}, forms)

    def test_args_global_stage_and_inherited(self):
        text = ("ARG G=global\nARG V=latest\nFROM busybox:$V AS p\nARG A=default\nRUN echo \"[$G][$A]\"\nARG G\nRUN echo \"[$G]\"\n"
                "FROM p\nRUN echo \"[$A][$G]\"\n")
        self.assertEqual(self.log(text), ["[][default]", "[global]", "[default][global]"])
        self.assertEqual(self.log(text, "--build-arg", "A=a", "--build-arg", "G=g"), ["[][a]", "[g]", "[a][g]"])

    def test_an_arg_without_a_value_is_unset_and_env_beats_arg(self):
        self.assertEqual(self.log("FROM busybox\nARG N\nRUN echo ${N-unset}\nARG E=arg\nENV E=env\nRUN echo $E\n",
                                  "--build-arg", "E=option"), ["unset", "env"])

    def test_build_arg_without_a_value_comes_from_the_environment(self):
        self.assertEqual(self.log("FROM busybox\nARG X=d\nRUN echo $X\n", "--build-arg", "X", env={"X": "outer"}), ["outer"])

    def test_platform_args_are_there_when_declared(self):
        self.assertEqual(self.log("FROM busybox\nARG TARGETPLATFORM\nARG BUILDARCH\nARG TARGETSTAGE\n"
                                  "RUN echo $TARGETPLATFORM $BUILDARCH $TARGETOS.\n"), ["linux/amd64 amd64 ."])

    def test_proxy_args_reach_steps_undeclared_and_stay_out_of_the_image(self):
        image = self.image("FROM busybox\nRUN echo $HTTP_PROXY > /p\n", "--build-arg", "HTTP_PROXY=http://proxy.invalid")
        self.assertEqual(image.tree()["p"].text, "http://proxy.invalid\n")
        self.assertNotIn("proxy.invalid", str(image.config))

    def test_an_undeclared_build_arg_changes_nothing(self):
        self.build("FROM busybox\nRUN echo ${TYPO-unset}\n")
        again = self.build(None, "--build-arg", "TYPO=1")
        self.assertEqual((again.ran, len(again.cached)), ([], 1))


class Text(LadeTest):
    def test_bom_crlf_escape_directive_and_continuations(self):
        result = self.build("\ufeff# escape=`\r\nFROM busybox\r\nRUN echo a `\r\n  # comment\r\n  'b\\c'\r\n")
        self.assertEqual(result.log("RUN"), ["a b\\c"])

    def test_keywords_and_stage_names_ignore_case(self):
        # But for a FROM, which finds the lower-case name alone, as in BuildKit.
        result = self.build("from busybox as One\nrun echo 1 > /f\nFrom one\ncopy --from=oNE /f /g\nrUn cat /g\n")
        self.assertEqual(result.log("cat"), ["1"])

    def test_stdin_as_the_dockerfile_and_another_file(self):
        result = self.build(None, "-f", "-", stdin=b"FROM busybox\nRUN echo from stdin\n")
        self.assertEqual(result.log("RUN"), ["from stdin"])
        self.write({"sub/Other": "FROM busybox\nCOPY f /\nRUN cat /f\n", "f": "context\n"})
        self.assertEqual(self.build(None, "-f", self.ws.context / "sub/Other").log("RUN"), ["context"])

    def test_the_syntax_line_means_the_built_in_frontend(self):
        self.assertEqual(self.build("# syntax=docker/dockerfile:1.7-labs\nFROM busybox\nRUN echo yes\n").log("RUN"), ["yes"])


class Stages(LadeTest):
    def test_numbers_names_and_images_in_from(self):
        tree = self.tree("FROM busybox\nRUN echo zero > /0\nFROM busybox AS one\nRUN echo one > /1\nFROM scratch\n"
                         "COPY --from=0 /0 /\nCOPY --from=ONE /1 /\nCOPY --from=busybox /etc/group /\n")
        self.assertEqual(sorted(tree), ["0", "1", "group"])

    def test_a_target_is_found_by_its_name_in_any_case(self):
        text = "FROM busybox AS a\nRUN echo in a\nFROM busybox AS b\nRUN echo in b\n"
        self.assertEqual(self.build(text, "--target", "a").log("RUN"), ["in a"])
        self.assertEqual(self.build(text, "--target", "B").log("RUN"), ["in b"])

    def test_onbuild_triggers_run_first_in_order_and_may_name_stages(self):
        self.build("FROM busybox\nONBUILD RUN echo one > /order\nONBUILD COPY --from=helper /h /h\n", "-t", "trigger")
        tree = self.tree("FROM busybox AS helper\nRUN echo h > /h\nFROM trigger\nRUN cat /h >> /order\n")
        self.assertEqual((tree["h"].text, tree["order"].text), ("h\n", "one\nh\n"))

    def test_from_of_an_image_built_before_continues_it(self):
        self.build("FROM busybox\nRUN echo 1 > /1\nENV A=1\nUSER 3\nWORKDIR /w\n", "-t", "first:tag")
        result = self.build("FROM first:tag\nRUN echo $A $(cat /1) $(id -u) $(pwd)\n")
        self.assertEqual(result.log("RUN"), ["1 1 3 /w"])
