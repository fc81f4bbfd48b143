"""What is kept out of images, in whichever way a context comes in (BuildKit's rules: docs/DOCKERFILE.md)."""

import io
import tarfile

from support import LadeTest

COPY = "FROM scratch\nCOPY --from=deps . /o/\n"


class NamedContexts(LadeTest):
    def setUp(self):
        super().setUp()
        self.deps = self.ws.dir / "deps"
        self.write({".env": "password", "kept": "kept", "sub/.env": "password", "sub/kept": "kept",
                    ".dockerignore": "# secrets\n**/.env\nlogs\n!logs/kept\n", "logs/a": "a", "logs/kept": "kept"},
                   self.deps)
        self.args = ("--build-context", f"deps={self.deps}")

    def names(self, dockerfile, *args):
        return sorted(path for path, entry in self.tree(dockerfile, *self.args, *args).items() if entry.type == "file")

    KEPT = ["o/.dockerignore", "o/kept", "o/logs/kept", "o/sub/kept"]

    def test_copy_leaves_out_what_the_contexts_own_file_says(self):
        self.assertEqual(self.names(COPY), self.KEPT)
        # ...and not what the main context's says.
        self.write({".dockerignore": "kept\n"})
        self.assertEqual(self.names(COPY), self.KEPT)

    def test_so_do_mounts_and_stages_of_it(self):
        mount = "FROM busybox\nRUN --mount=from=deps,target=/o cd / && find o -type f | sort\n"
        self.assertEqual(self.build(mount, *self.args).log(), self.KEPT)
        stage = "FROM deps AS files\nFROM scratch\nCOPY --from=files . /o/\n"
        self.assertEqual(self.names(stage), self.KEPT)
        replaced = "FROM missing AS deps\nFROM scratch\nCOPY --from=deps . /o/\n"
        self.assertEqual(self.names(replaced), self.KEPT)

    def test_the_file_counts_from_build_to_build(self):
        self.names(COPY)
        (self.deps / ".dockerignore").write_text("*\n!sub/.env\n")
        self.assertEqual(self.names(COPY), ["o/sub/.env"])
        (self.deps / ".dockerignore").unlink()
        self.assertEqual(len(self.names(COPY)), 6)

    def test_a_name_that_is_left_out_says_where(self):
        self.assert_fails("FROM scratch\nCOPY --from=deps .env /\n", "Dockerfile:2", "not found", ".dockerignore:2",
                          args=self.args)

    def test_several_names_of_one_directory_and_the_main_context_are_apart(self):
        self.write({".dockerignore": "logs\n", "logs/a": "a", ".env": "mine"})
        tree = self.tree("FROM scratch\nCOPY . /main/\nCOPY --from=deps . /deps/\nCOPY --from=again . /again/\n"
                         "COPY --from=context . /context/\n", *self.args, "--build-context", f"again={self.deps}",
                         "--build-context", f"context={self.deps}")
        self.assertIn("main/.env", tree)
        self.assertNotIn("main/logs/a", tree)
        for name in ("deps", "again", "context"):
            self.assertNotIn(f"{name}/.env", tree)
            self.assertIn(f"{name}/logs/kept", tree)

    def test_a_bad_pattern_names_the_file(self):
        (self.deps / ".dockerignore").write_text("[\n")
        self.assert_fails(COPY, "--build-context deps", ".dockerignore", args=self.args)


class MainContext(LadeTest):
    FILES = {".dockerignore": ".env\n", ".env": "password", "kept": "kept"}

    def test_bind_mounts_of_the_context_leave_the_same_out(self):
        result = self.build("FROM busybox\nRUN --mount=target=/c ls -A /c\n", files=self.FILES)
        self.assertEqual(result.log(), [".dockerignore", "Dockerfile", "kept"])

    def test_a_dockerfiles_own_file_counts_in_its_place(self):
        elsewhere = self.ws.dir / "elsewhere"
        self.write({"Other": "FROM scratch\nCOPY . /\n", "Other.dockerignore": "kept\n"}, elsewhere)
        tree = self.tree("", "-f", elsewhere / "Other", files=self.FILES)
        self.assertEqual(sorted(tree), [".dockerignore", ".env", "Dockerfile"])

    def test_a_lower_case_dockerfiles_own_file_is_called_as_it_is(self):
        self.write(self.FILES | {"dockerfile": "FROM scratch\nCOPY . /\n", "dockerfile.dockerignore": "kept\n"})
        self.assertNotIn("kept", self.tree(None))

    def test_with_the_dockerfile_on_standard_input_the_contexts_counts(self):
        self.write(self.FILES)
        tree = self.tree(None, "-f", "-", stdin=b"FROM scratch\nCOPY . /\n")
        self.assertEqual(sorted(tree), [".dockerignore", "kept"])

    def test_archives_hold_what_they_hold(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, text in (self.FILES | {"Dockerfile": "FROM scratch\nCOPY . /\n",
                                             "Dockerfile.dockerignore": "kept\n"}).items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        path = self.ws.out / "image.tar"
        self.ws.lade("build", "-o", f"type=tar,dest={path}", "-", stdin=archive.getvalue())
        with tarfile.open(path) as tar:
            self.assertLessEqual({".env", "kept"}, set(tar.getnames()))
