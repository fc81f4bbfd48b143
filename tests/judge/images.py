"""Stand-ins for the images that BuildKit's tests pull from Docker Hub: Debian's busybox with what they look for in it."""

import json
import pathlib
import shutil
import subprocess
import tarfile

import bases
import support

_ADDUSER = r"""#!/bin/sh
# adduser [-D] [-H] [-u UID] [-G GROUP] NAME
uid=1000 name= group=
while [ $# -gt 0 ]; do
  case "$1" in
    -u) uid=$2; shift ;;
    -G) group=$2; shift ;;
    -h | -s | -g) shift ;;
    -*) ;;
    *) name=$1 ;;
  esac
  shift
done
gid=$uid
if [ -n "$group" ]; then gid=$(grep "^$group:" /etc/group | cut -d: -f3); else echo "$name:x:$uid:" >> /etc/group; fi
echo "$name:x:$uid:$gid::/home/$name:/bin/sh" >> /etc/passwd
mkdir -p "/home/$name"
chown "$uid:$gid" "/home/$name"
"""
_ADDGROUP = r"""#!/bin/sh
# addgroup [-g GID] NAME, or addgroup USER GROUP
if [ $# = 2 ] && [ "$1" != -g ]; then
  sed -i "s/^\($2:.*:.*:\)$/\1$1/; t; s/^\($2:.*:.*:.*\)$/\1,$1/" /etc/group
  exit
fi
gid=1000 name=
while [ $# -gt 0 ]; do
  case "$1" in
    -g) gid=$2; shift ;;
    -*) ;;
    *) name=$1 ;;
  esac
  shift
done
echo "$name:x:$gid:" >> /etc/group
"""
_PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
www-data:x:33:
nobody:x:65534:
"""
_DIRECTORIES = {"tmp": 0o1777, "root": 0o700} | {
    name: 0o755 for name in ("bin", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "run", "sbin", "sys",
                             "usr", "usr/bin", "usr/lib", "usr/sbin", "usr/share", "var", "var/spool", "var/www")}
_ALPINE = {"etc/alpine-release": "3.20.0\n", "etc/os-release": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.0\n'}

# What the tests name, and which files each has beside busybox's.
IMAGES = {"library/busybox:latest": {}, "library/busybox:stable-musl": {}, "library/alpine:latest": _ALPINE,
          "amd64/debian:bullseye-20230109-slim": {"etc/debian_version": "11.6\n"},
          "tonistiigi/hellofs:latest": {"hellofs": "#!/bin/sh\nexit 1\n"},
          "cpuguy83/buildkit-foreign:latest": {}, "tonistiigi/test:nolayers": None}  # None: it has no layer


def _layer(work, extra):
    tar_path = work / "layer.tar"
    files = [bases.directory(name, mode) for name, mode in sorted(_DIRECTORIES.items())]
    for name, text in ({"etc/passwd": _PASSWD, "etc/group": _GROUP} | extra).items():
        files.append(bases.File(name, text, 0o755 if name == "hellofs" else 0o644))
    files += [bases.File("usr/sbin/adduser", _ADDUSER, 0o755), bases.File("usr/sbin/addgroup", _ADDGROUP, 0o755)]
    tar_path.write_bytes(bases.layer(*files))
    applets = subprocess.run(["/bin/busybox", "--list-full"], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(tar_path, "a", format=tarfile.PAX_FORMAT) as tar:
        busybox = tar.gettarinfo("/bin/busybox", "bin/busybox")
        busybox.uid = busybox.gid = busybox.mtime = 0
        busybox.uname = busybox.gname = ""
        with open("/bin/busybox", "rb") as program:
            tar.addfile(busybox, program)
        for applet in sorted(set(applets) - {"bin/busybox", "usr/bin/busybox", "usr/sbin/adduser", "usr/sbin/addgroup"}):
            link = tarfile.TarInfo(applet)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "/bin/busybox", 0o777
            tar.addfile(link)
    return tar_path.read_bytes()


def make_mirror(directory, work):
    """A directory for BUILDKIT_REGISTRY_MIRROR_DIR that holds IMAGES."""
    work = pathlib.Path(work)
    registry = support.Registry(work / "registry")
    try:
        for name, extra in IMAGES.items():
            layout = bases.Layout(work / "layout")
            layers = [] if extra is None else [_layer(work, extra)]
            layout.finish(layout.image(layers, {"Env": [f"PATH={bases.PATH}"], "Cmd": ["sh"]}))
            registry.push(f"oci:{layout.directory}:latest", name)
            shutil.rmtree(layout.directory)
    finally:
        registry.stop()
    shutil.copytree(work / "registry/data", pathlib.Path(directory) / "data")
