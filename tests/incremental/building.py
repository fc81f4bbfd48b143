"""Workspaces: the directories of a case, base images, and running lade there."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import support
from site_server import COMMIT, Site

HERE = pathlib.Path(__file__).resolve().parent
EPOCH = 1600000000
TIMEOUT = 180  # seconds; a build that takes longer has hung

# Lists what a step sees: types, modes, owners, numbers of links, sizes, which names are one file, and contents. Of
# directories the size is the file system's business.
LOOK = r"""#!/bin/sh
find "$@" -print0 2>/dev/null | sort -z > /tmp/.look
xargs -0 stat -c '%n|%F|%a|%u:%g|%h|%s|%t:%T|%d:%i' < /tmp/.look | awk -F '|' -v OFS='|' '{
  if (!($8 in seen)) seen[$8] = ++count
  $8 = seen[$8]
  if ($2 == "directory") $6 = "-"
  print }'
find "$@" -type f ! -path '*/.git/index' -print0 2>/dev/null | sort -z | xargs -0 md5sum
find "$@" -type l -print0 2>/dev/null | sort -z | xargs -0 -n 1 readlink
rm -f /tmp/.look
true
"""
# Runs a script that may change the directory it is started in, and nothing else: edits go through links, too.
CONFINED = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
            'mount --rbind . . && mount -o remount,bind,ro / && cd "$PWD" && exec /bin/sh -c "$0"')
APPLETS = ("sh ls cat stat find sort xargs awk md5sum readlink mkdir rm cp mv ln chmod chown echo printf touch mkfifo "
           "test [ true false id env seq wc head tail tr grep sed du tar dd sleep date df truncate mknod rmdir").split()
# What is done to the files of each base, after those of the one before, what its config says, and of when its files are.
BASES = (
    ("true", (), EPOCH),
    ("chmod 700 data; printf 'DATA\\n' > data/a; chown 12:34 data/s", (), EPOCH),
    ("cp -p data/h1 data/n; mv data/n data/h2; sed -i s/1000/1001/ etc/passwd; rm -rf data/s/b; ln -s a data/s/b", (), EPOCH),
    ("ln -f data/h1 data/s/h3", ("ENV A=base", "WORKDIR /data", "ONBUILD RUN look /data > /of-base 2>&1"), EPOCH),
    ("true", ("ENV A=base", "WORKDIR /data", "LABEL of=base"), EPOCH),
    ("true", ("ENV A=base", "WORKDIR /data", "LABEL of=base"), EPOCH - 1000),
    ("sed -i s/me:x:1001:1001/me:x:1001:50/ etc/passwd", ("ENV PATH=/bin:/sbin", 'SHELL ["/bin/sh", "-ec"]'), EPOCH),
    ("sed -i s/x:50/x:51/ etc/group; chmod 711 .; mkdir o; chmod 700 o; chown 12:34 o", (), EPOCH),
    ("rmdir o; ln -s data o; mv etc/passwd data/users; ln -s ../data/users etc/passwd", ("VOLUME /v", "CMD look"), EPOCH),
)
# Where a context may lie; those that this kernel cannot mount go (find_places()).
DISKS = {"ext4": ["mke2fs", "-q", "-t", "ext4", "-I", "128"], "ext2": ["mke2fs", "-q", "-t", "ext2", "-I", "256"],
         "vfat": ["mkfs.vfat"], "tmpfs": None}
IMAGES = {
    "squashfs": lambda directory, image: ["mksquashfs", directory, image, "-quiet", "-no-progress", "-noI", "-noD", "-noF",
                                          "-mkfs-time", "1700000000", "-all-time", "1700000000"],
    "erofs": lambda directory, image: ["mkfs.erofs", "--quiet", "-T", "1700000000", image, directory],
}
PLACES = ["here", "moved", *DISKS, *IMAGES]


def make_disk(place, image):
    image.unlink(missing_ok=True)
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    if DISKS[place]:
        subprocess.run([*DISKS[place], image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def mount_disk(place, image, mounted):
    how = ["-o", "loop", image] if DISKS[place] else ["-t", "tmpfs", "tmpfs"]
    return subprocess.run(["mount", *how, mounted], check=False, capture_output=True)


def make_image(place, directory, image):
    image.unlink(missing_ok=True)
    subprocess.run(IMAGES[place](directory, image), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def mount_image(place, image, mounted):
    return subprocess.run(["mount", "-t", place, "-o", "loop,ro", image, mounted], check=False, capture_output=True)


def find_places(root):
    image, mounted = root / "probe.img", root / "probe"
    mounted.mkdir()
    for place in (*DISKS, *IMAGES):
        if place in IMAGES:
            make_image(place, mounted, image)
            done = mount_image(place, image, mounted)
        else:
            make_disk(place, image)
            done = mount_disk(place, image, mounted)
        if done.returncode == 0:
            subprocess.run(["umount", mounted], check=True)
        else:
            PLACES.remove(place)
            print(f"without {place}, which this kernel does not mount", flush=True)


def make_templates(root):
    """State directories that hold one of the bases each, as `base`; and the clock to preload."""
    tree = root / "base"
    for directory in ("bin", "etc", "tmp", "data/s"):
        (tree / directory).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    shutil.copy2("/bin/busybox", tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    (tree / "bin/look").write_text(LOOK)
    (tree / "bin/look").chmod(0o755)
    (tree / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\nother:x:33:50::/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nme:x:1000:\nother:x:50:\n")
    (tree / "data/a").write_text("data\n")
    (tree / "data/s/b").write_text("b\n")
    (tree / "data/h1").write_text("hard\n")
    os.link(tree / "data/h1", tree / "data/h2")
    for number, (change, config, mtime) in enumerate(BASES):
        subprocess.run(["sh", "-c", change], cwd=tree, check=True)
        tar = root / f"base-{number}.tar"
        subprocess.run(["tar", "-C", tree, "--sort=name", "--numeric-owner", f"--mtime=@{mtime}", "-cf", tar, "."],
                       check=True)
        # An archive says when the image was made, so that it is the same image wherever it is loaded.
        archive, state = root / f"base-{number}.oci", root / f"template-{number}"
        for root_, *command in ((root / f"made-{number}", "import", *(f"--change={line}" for line in config), tar,
                                 "base:latest"),
                                (root / f"made-{number}", "save", "--format", "oci-archive", "-o", archive, "base:latest"),
                                (state, "load", "-q", "-i", archive)):
            subprocess.run([support.LADE, "--root", root_, *command], check=True, env=support.environment(),
                           stdout=subprocess.DEVNULL)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", root / "clock.so", HERE / "clock.c", "-ldl"], check=True)


class Workspace:
    def __init__(self, root, directory, peers=None):
        self.root, self.dir, self.peers = root, directory, peers
        self.dir.mkdir(parents=True)
        self.base = 0
        self.site = Site(self.dir)
        self.site.start()
        (self.dir / "commit").write_text(COMMIT)
        (self.dir / "commit").chmod(0o755)
        # What a command line names has to be there.
        (self.dir / "secret").write_text("secret\n")
        for name in ("context", "other", "www", "repo"):
            (self.dir / name).mkdir()
        self.place, self.edited, self.built = "here", self.dir / "context", self.dir / "context"
        for name in ("state", "state2"):
            self.copy_template(name)
        self.clean_count = 0
        self.log = []

    def close(self):
        self.leave()
        self.site.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def copy_template(self, name):
        subprocess.run(["cp", "-a", "--reflink=auto", self.root / f"template-{self.base}", self.dir / name], check=True)

    # ------------------------------------------------------------------------------------- files

    def shell(self, text):
        env = {**support.environment(), "C": str(self.edited), "COMMIT": str(self.dir / "commit"), "LC_ALL": "C"}
        # Some wait for ever where a file has become a fifo.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([*CONFINED, "umask 022\n" + text], cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)

    def write_dockerfile(self, text):
        (self.dir / "Dockerfile").write_text(text.replace("@URL@", self.site.url))

    def change_base(self, number):
        self.base = number
        for state in ("state", "state2"):
            self.lade("load", "-q", "-i", self.root / f"base-{number}.oci", state=state)

    def leave(self):
        """Brings the context back to where it is a plain directory."""
        context = self.dir / "context"
        if self.place in DISKS:
            shutil.rmtree(context, ignore_errors=True)
            subprocess.run(["cp", "-a", self.edited, context], check=False, stderr=subprocess.DEVNULL)
        if self.place == "moved":
            self.edited.rename(context)
        if os.path.ismount(self.dir / "mounted"):
            subprocess.run(["umount", self.dir / "mounted"], check=True)
        self.place, self.edited, self.built = "here", context, context

    def enter(self, place):
        self.leave()
        mounted = self.dir / "mounted"
        mounted.mkdir(exist_ok=True)
        if place == "moved":
            self.edited.rename(self.dir / "moved")
            self.edited = self.built = self.dir / "moved"
        elif place in DISKS:
            make_disk(place, self.dir / "disk.img")
            mount_disk(place, self.dir / "disk.img", mounted).check_returncode()
            subprocess.run(["cp", "-a", f"{self.edited}/.", mounted], check=False, stderr=subprocess.DEVNULL)
            self.edited = self.built = mounted
        elif place in IMAGES:
            self.built = mounted
        self.place = place

    def show_image(self):
        """Of a context that is a read-only image: what it is now, under the same name, with the same times."""
        if self.place not in IMAGES:
            return
        mounted = self.dir / "mounted"
        if os.path.ismount(mounted):
            subprocess.run(["umount", mounted], check=True)
        image = self.dir / f"image.{self.place}"
        self.edited.mkdir(exist_ok=True)
        make_image(self.place, self.edited, image)
        mount_image(self.place, image, mounted).check_returncode()

    # ----------------------------------------------------------------------------------- running

    def command(self, *args, state):
        return [support.LADE, "--root", str(self.dir / state), *map(str, args)]

    def environment(self, clock=0):
        extra = {"LD_PRELOAD": str(self.root / "clock.so"), "INCREMENTAL_CLOCK": str(clock)} if clock else {}
        return support.environment(extra)

    def spawn(self, *args, state="state", clock=0):
        return subprocess.Popen(self.command(*args, state=state), cwd=self.dir, env=self.environment(clock),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, process):
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += b"[did not end]\n"
        result = support.Result(process.args, process.returncode, out, err, time.monotonic() - started)
        self.log.append(result)
        return result

    def lade(self, *args, state="state", clock=0):
        return self.finish(self.spawn(*args, state=state, clock=clock))

    def build_arguments(self, build, output):
        """Of lade build, for a step of the case; without `output` nothing is written."""
        arguments = ["build", "-f", self.dir / "Dockerfile", "--build-context", f"other={self.dir}/other", "--secret",
                     f"id=s,src={self.dir}/secret", "--ssh", f"default={self.root}/agent.sock"]
        arguments += [option.replace("@W@", str(self.dir)) for option in (*build.options, *build.arguments)]
        form = f"type=oci,dest={output},compression=uncompressed" if output else "type=cacheonly"
        if build.epoch:
            arguments += ["--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}"]
            form += ",rewrite-timestamp=true" if output else ""
        return [*arguments, "-o", form, self.built]

    @contextlib.contextmanager
    def clean_state(self):
        self.clean_count += 1
        name = f"clean-{self.clean_count}"
        self.copy_template(name)
        try:
            yield name
        finally:
            shutil.rmtree(self.dir / name, ignore_errors=True)
