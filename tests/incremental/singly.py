"""One attribute at a time: builds, changes one thing, builds, changes it back, and compares each build with a clean one.

    sudo tests/incremental/run build/lade --singly

What a project reads is read in every way at once: each way is a stage of its own, so that a wrong hit of one is not
hidden by another.
"""

import case as cases
import playing
from building import Workspace
from comparison import Difference

# Makes the context and other/ anew.
FILES = r"""
find $C -mindepth 1 -delete
mkdir -p $C/d/s/t $C/e $C/empty
for f in a b d/a d/b d/s/c d/s/t/e e/x e/y run.sh 'with space' d/.hidden; do echo "$f" > "$C/$f"; done
echo hi > $C/d/k; cp -p $C/d/k $C/d/l
echo hi > $C/d/m; ln $C/d/m $C/d/n
ln -s a $C/link; ln -s ../a $C/d/ln; ln -s nowhere $C/d/s/lost; ln -s d $C/todir
mkfifo $C/d/fifo; mknod $C/d/null c 1 3; mknod $C/d/loop b 7 0
: > $C/d/zero; truncate -s 100000 $C/d/sparse
tar -C $C --sort=name --mtime=@1500000000 -cf $C/x.tar d/a d/m d/n d/ln
gzip -nkf $C/x.tar
setfattr -n user.k -v 1 $C/d/a
touch -d @1500000000 $C/d/b
printf 'ignored\n*.log\n' > $C/.dockerignore
mkdir -p other/sub; rm -rf other/*; mkdir -p other/sub; echo o > other/o; echo p > other/sub/p; ln other/o other/o2
"""
# What may be changed of them.
CONTEXT_CHANGES = {
    "file mode 0": "chmod 0 $C/d/a",
    "file mode 1": "chmod 1 $C/d/a",
    "file mode 2": "chmod 2 $C/d/a",
    "file mode 4": "chmod 4 $C/d/a",
    "file mode 10": "chmod 10 $C/d/a",
    "file mode 20": "chmod 20 $C/d/a",
    "file mode 40": "chmod 40 $C/d/a",
    "file mode 100": "chmod 100 $C/d/a",
    "file mode 200": "chmod 200 $C/d/a",
    "file mode 400": "chmod 400 $C/d/a",
    "file mode 777": "chmod 777 $C/d/a",
    "file mode 1644": "chmod 1644 $C/d/a",
    "file mode 2644": "chmod 2644 $C/d/a",
    "file mode 4644": "chmod 4644 $C/d/a",
    "file mode 645": "chmod 645 $C/d/a",
    "file mode 654": "chmod 654 $C/d/a",
    "file mode 744": "chmod 744 $C/d/a",
    "dir mode 0": "chmod 0 $C/d/s",
    "dir mode 701": "chmod 701 $C/d/s",
    "dir mode 710": "chmod 710 $C/d/s",
    "dir mode 750": "chmod 750 $C/d/s",
    "dir mode 754": "chmod 754 $C/d/s",
    "dir mode 1755": "chmod 1755 $C/d/s",
    "dir mode 2755": "chmod 2755 $C/d/s",
    "dir mode 4755": "chmod 4755 $C/d/s",
    "dir mode 775": "chmod 775 $C/d/s",
    "dir mode 757": "chmod 757 $C/d/s",
    "top dir mode 700": "chmod 700 $C/d",
    "top dir mode 711": "chmod 711 $C/d",
    "top dir mode 1777": "chmod 1777 $C/d",
    "top dir mode 2755": "chmod 2755 $C/d",
    "top dir mode 4755": "chmod 4755 $C/d",
    "root dir mode": "chmod 700 $C",
    "root dir xattr": "setfattr -n user.z -v 1 $C",
    "file owner": "chown 12:0 $C/d/a",
    "file group": "chown 0:12 $C/d/a",
    "dir owner": "chown 12:34 $C/d/s",
    "top dir owner": "chown 5:6 $C/d",
    "link owner": "chown -h 5:6 $C/d/ln",
    "xattr new": "setfattr -n user.new -v 1 $C/d/b",
    "xattr value": "setfattr -n user.k -v 2 $C/d/a",
    "xattr gone": "setfattr -x user.k $C/d/a",
    "xattr empty": "setfattr -n user.k $C/d/a",
    "xattr of dir": "setfattr -n user.k -v 1 $C/d/s",
    "xattr of top dir": "setfattr -n user.k -v 1 $C/d",
    "capability": "setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 $C/d/a",
    "capability v3": "setfattr -n security.capability -v 0x010000030020000000000000000000000000000000000000 $C/d/a",
    "trusted": "setfattr -n trusted.x -v 1 $C/d/a",
    "trusted dir": "setfattr -n trusted.x -v 1 $C/d/s",
    "trusted overlay opaque": "setfattr -n trusted.overlay.opaque -v y $C/d/s",
    "security.other": "setfattr -n security.foo -v 1 $C/d/a",
    "user overlay": "setfattr -n user.overlay.opaque -v y $C/d/s",
    "acl":
        "setfattr -n system.posix_acl_access -v "
        "0x0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff $C/d/a",
    "acl mask":
        "setfattr -n system.posix_acl_access -v "
        "0x0200000001000600ffffffff02000400e803000004000400ffffffff10000700ffffffff20000400ffffffff $C/d/b",
    "default acl":
        "setfattr -n system.posix_acl_default -v "
        "0x0200000001000600ffffffff02000400e803000004000400ffffffff10000700ffffffff20000400ffffffff $C/d/s",
    "acl of top":
        "setfattr -n system.posix_acl_access -v "
        "0x0200000001000600ffffffff02000400e803000004000400ffffffff10000700ffffffff20000400ffffffff $C/d",
    "time": "touch -d @1400000000 $C/d/a",
    "time ns": "touch -d @1500000000.000000001 $C/d/b",
    "dir time": "touch -d @1400000000 $C/d/s",
    "time before 1970": "touch -d @-1.5 $C/d/a",
    "time far": "touch -d @9000000000 $C/d/a",
    "link target": "ln -sfn b $C/link; ln -sfn ../b $C/d/ln",
    "lost target": "ln -sfn nowher $C/d/s/lost",
    "todir target": "ln -sfn e $C/todir",
    "todir absolute": "ln -sfn /d $C/todir",
    "link is dir": "rm $C/link; mkdir $C/link",
    "lost is found": "echo x > $C/d/s/nowhere",
    "fifo to file": "rm $C/d/fifo; : > $C/d/fifo",
    "fifo mode": "chmod 600 $C/d/fifo",
    "fifo gone": "rm $C/d/fifo",
    "fifo owner": "chown 7 $C/d/fifo",
    "device minor": "rm $C/d/null; mknod $C/d/null c 1 5",
    "device major": "rm $C/d/null; mknod $C/d/null c 5 3",
    "device kind": "rm $C/d/null; mknod $C/d/null b 1 3",
    "device mode": "chmod 600 $C/d/null",
    "device large": "rm $C/d/loop; mknod $C/d/loop b 259 300000",
    "whiteout device": "rm $C/d/null; mknod $C/d/null c 0 0",
    "whiteout device new": "mknod $C/d/wh c 0 0",
    "socket":
        'python3 -c \'import socket,os; s=socket.socket(socket.AF_UNIX); os.chdir(os.environ["C"]); '
        's.bind("d/sock")\'',
    "link joined": "ln -f $C/d/k $C/d/l",
    "link broken": "cp -p $C/d/m $C/d/q; mv $C/d/q $C/d/n",
    "third link": "ln $C/d/m $C/d/s/third",
    "link outside": "ln $C/d/m $C/outside",
    "link ignored": "mkdir -p $C/ignored; ln $C/d/m $C/ignored/x",
    "symlinks linked": "ln $C/d/ln $C/d/ln2",
    "symlinks copied": "ln -s ../a $C/d/ln2",
    "fifos linked": "ln $C/d/fifo $C/d/fifo2",
    "fifos apart": "mkfifo $C/d/fifo2",
    "devices linked": "ln $C/d/null $C/d/null2",
    "links across dirs": "ln -f $C/d/m $C/e/x",
    "links of sources": "ln -f $C/a $C/b",
    "same sources": "cp $C/a $C/b",
    "sparse filled": "head -c 100000 /dev/zero > $C/d/sparse",
    "sparse shorter": "truncate -s 99999 $C/d/sparse",
    "sparse end": "printf x | dd of=$C/d/sparse bs=1 seek=99999 conv=notrunc 2>/dev/null",
    "zero": "echo > $C/d/zero",
    "zero gone": "rm $C/d/zero",
    "zero is dir": "rm $C/d/zero; mkdir $C/d/zero",
    "name newline": 'echo 1 > "$C/d/$(printf \'x\\ny\')"',
    "name bytes": 'echo 1 > "$C/d/$(printf \'\\377\\001\')"',
    "name quote": 'echo 1 > "$C/d/\\"\'*?["',
    "name long": "echo 1 > $C/d/$(printf 'n%.0s' $(seq 255))",
    "name backslash": 'echo 1 > "$C/d/x\\\\y"',
    "name utf8": "echo 1 > $C/d/é",
    "name dots": "echo 1 > $C/d/...",
    "name wh": "echo 1 > $C/d/.wh.x",
    "name wh dir": "mkdir $C/d/.wh..wh..opq",
    "case": "mv $C/d/a $C/d/A",
    "case dir": "mv $C/d/s $C/d/S",
    "file to dir": "rm $C/d/a; mkdir $C/d/a",
    "dir to file": "rm -r $C/d/s; echo s > $C/d/s",
    "dir to link": "mv $C/d/s $C/d/s2; ln -s s2 $C/d/s",
    "file to link": "rm $C/d/b; ln -s a $C/d/b",
    "d to link": "mv $C/d $C/dd; ln -s dd $C/d",
    "d to file": "rm -r $C/d; echo > $C/d",
    "empty new": "mkdir $C/d/emptynew",
    "empty gone": "rmdir $C/empty",
    "swap": "mv $C/d/a $C/q; mv $C/d/b $C/d/a; mv $C/q $C/d/b",
    "swap dirs": "mv $C/d $C/q; mv $C/e $C/d; mv $C/q $C/e",
    "same size": "printf 'q/a\\n' > $C/d/a",
    "same size and time": 't=$(stat -c %y $C/d/a); printf \'r/a\\n\' > $C/d/a; touch -d "$t" $C/d/a',
    "mmap":
        "python3 - <<'E'\nimport "
        "mmap,os\np=os.environ['C']+'/d/a'\nf=open(p,'r+b')\nm=mmap.mmap(f.fileno(),0)\nm[0]=ord('z')\nm.flush()\nE",
    "bytes moved": "printf 'd/\\na' > $C/d/a",
    "nl": "printf 'd/a' > $C/d/a",
    "ignore d/a": "echo d/a >> $C/.dockerignore",
    "ignore and back": "printf 'd\\n!d/a\\n' >> $C/.dockerignore",
    "ignore all": "printf '*\\n!d\\n!e\\n!a\\n!b\\n!x.tar*\\n!run.sh\\n' > $C/.dockerignore",
    "ignore **": "printf '**/a\\n!d/a\\n' >> $C/.dockerignore",
    "ignore nested": "printf 'd/s\\n!d/s/t/e\\n' >> $C/.dockerignore",
    "nested ignore file": "echo a > $C/d/.dockerignore",
    "ignore empty dir": "echo empty >> $C/.dockerignore",
    "Dockerfile.dockerignore": "echo d/a > Dockerfile.dockerignore",
    "ignore comment": "printf '#d\\n\\n  \\n' >> $C/.dockerignore",
    "ignore file ignored": "echo .dockerignore >> $C/.dockerignore",
    "tar byte": "tar -C $C --sort=name --mtime=@1500000000 -cf $C/x.tar d/a d/b d/m d/n",
    "tar mode":
        "chmod 600 $C/d/a; tar -C $C --sort=name --mtime=@1500000000 -cf $C/x.tar d/a d/m d/n d/ln; chmod "
        "644 $C/d/a",
    "tar times": "tar -C $C --sort=name --mtime=@1400000000 -cf $C/x.tar d/a d/m d/n d/ln",
    "tar broken": "printf x > $C/x.tar",
    "gz level": "gzip -9 -nkf $C/x.tar",
    "gz is tar": "cp $C/x.tar $C/x.tar.gz",
    "other mode": "chmod 700 other/sub",
    "other root mode": "chmod 711 other",
    "other link": "rm other/o2; cp -p other/o other/o2",
    "other time": "touch -d @1400000000 other/o",
    "other ignore": "echo o > other/.dockerignore",
}
# A stage for each way to read them; gathered() ends it.
CONTEXT_USES = r"""# syntax=docker/dockerfile:1-labs
FROM base AS s1
COPY d /o
RUN look /o > /look
FROM base AS s2
COPY . /o/
RUN look /o > /look
FROM base AS s3
COPY d/* /o/
FROM base AS s4
COPY --parents d/s d/./a ./todir/ /o/
FROM base AS s5
COPY --link d /o
RUN look /o > /look
FROM base AS s6
COPY --chmod=u+x --chown=me d /o/
FROM base AS s7
COPY --exclude=a --exclude=**/c d /o
FROM base AS s8
RUN --mount=source=d,target=/m look /m > /o
FROM base AS s9
RUN --mount=target=/m,rw look /m/d > /o; stat -c '%a %u %g' /m >> /o; echo x > /m/d/a
FROM base AS s10
USER me
RUN --mount=source=d,target=/m look /m > /tmp/o 2>&1; cat /m/a /m/s/c >> /tmp/o 2>&1; true
FROM base AS s11
ADD x.tar x.tar.gz /o/
RUN look /o > /look
FROM base AS s12
COPY a b link /o/
RUN look /o > /look
FROM base AS s13
COPY todir /o/
COPY link /o/other
FROM base AS s14
COPY --from=other . /o/
RUN --mount=from=other,target=/m look /m > /look
FROM base AS s15
RUN --mount=from=s1,source=/o,target=/m look /m > /o2; cp -a /m /o3
FROM base AS s16
COPY --from=s1 /o /o
RUN look /o > /look
FROM base AS s17
RUN --mount=source=todir,target=/m look /m > /o; true
FROM base AS s18
COPY --chmod=755 d/a d/b /o/
FROM base AS s19
COPY --link --chown=7:8 d/s /o
FROM base AS s20
COPY d/m /o/
COPY d/n /o/
RUN look /o > /look
FROM s1 AS s21
COPY e /o
RUN look /o > /look
FROM scratch AS s22
COPY d /d
COPY e /d
"""
# A stage in which one thing is changed.
STAGE_HEAD = r"""# syntax=docker/dockerfile:1-labs
FROM base AS f
COPY --exclude=null --exclude=loop d /d
RUN touch -d @1450000000 /d/a && echo a > /a
FROM f AS a
RUN @CHANGE@
"""
# What @CHANGE@ may be.
STAGE_CHANGES = {
    "mode 0": "chmod 0 /d/a",
    "mode 600": "chmod 600 /d/a",
    "mode 755": "chmod 755 /d/a",
    "mode 4755": "chmod 4755 /d/a",
    "mode 2755": "chmod 2755 /d/a",
    "mode 1644": "chmod 1644 /d/a",
    "dir mode 700": "chmod 700 /d",
    "dir mode 711": "chmod 711 /d",
    "dir mode 1777": "chmod 1777 /d",
    "dir mode 2755": "chmod 2755 /d",
    "dir mode 4755": "chmod 4755 /d",
    "sub mode 700": "chmod 700 /d/s",
    "sub mode 1777": "chmod 1777 /d/s",
    "root mode": "chmod 700 /",
    "root owner": "chown 1:2 /",
    "owner": "chown 12 /d/a",
    "group": "chown :12 /d/a",
    "dir owner": "chown 12:34 /d",
    "link owner": "chown -h 3:4 /d/ln",
    "content": "echo x > /d/a",
    "same size": "printf 'q/a\\n' > /d/a",
    "link": "ln -sfn b /d/ln",
    "join": "ln -f /d/k /d/l",
    "break": "cp -p /d/m /d/q && mv /d/q /d/n",
    "link elsewhere": "ln /d/m /elsewhere",
    "fifo": "rm /d/fifo && mkfifo -m 600 /d/fifo",
    "time": "touch -d @1400000000 /d/a",
    "dir time": "touch -d @1400000000 /d",
    "same time again": "touch -d @1300000000 /d/a",
    "remove": "rm /d/a",
    "remove dir": "rm -r /d/s",
    "replace dir": "rm -r /d/s && mkdir /d/s",
    "replace dir same": "cp -a /d/s /d/s2 && rm -r /d/s && mv /d/s2 /d/s",
    "to file": "rm -r /d/s && echo > /d/s",
    "passwd": "sed -i s/1000/1001/ /etc/passwd",
    "passwd me group": "sed -i s/me:x:1000:1000/me:x:1000:50/ /etc/passwd",
    "group file": "sed -i s/me:x:1000/me:x:77/ /etc/group",
    "passwd comment": "echo '# x' >> /etc/passwd",
    "passwd gone": "rm /etc/passwd",
    "passwd mode": "chmod 600 /etc/passwd",
    "passwd link": "mv /etc/passwd /etc/p && ln -s p /etc/passwd",
    "o is link": "ln -s /d /o",
    "o is dir": "mkdir -m 700 /o",
    "o is file": "echo > /o",
    "w is link": "ln -s /d /w",
    "w exists": "mkdir -m 711 /w && chown 5:6 /w",
    "nothing": "true",
    "new": "echo > /d/new",
    "new empty": "mkdir /d/new",
    "tmp mode": "chmod 755 /tmp",
    "sh replaced": "cp /bin/busybox /bin/b2",
    "look changed": "echo 'echo more' >> /bin/look",
    "case": "mv /d/a /d/A",
}
# What is done with it.
STAGE_USES = r"""FROM base AS s1
COPY --from=a /d /o
RUN look /o > /look
FROM base AS s2
COPY --from=a /d/* /o/
FROM base AS s3
COPY --from=a --parents /d/s /d/./a /o/
FROM base AS s4
COPY --from=a --link /d /o
FROM base AS s5
RUN --mount=from=a,source=/d,target=/m look /m > /look; cp -a /m /o
FROM base AS s6
RUN --mount=from=a,target=/m,rw look /m/d /m/etc > /look; stat -c '%a %u %g' /m >> /look; ls -a /m >> /look; echo x > /m/d/a
FROM base AS s7
RUN --mount=type=cache,from=a,source=/d,target=/m look /m > /look
FROM base AS s8
RUN --mount=from=a,source=/d/s,target=/m look /m > /look
FROM a AS s9
RUN look /d /etc > /look; stat -c '%a %u %g' / >> /look; ls -a / >> /look
FROM a AS s10
COPY d/a /o/
RUN look /o /d > /look
FROM a AS s11
COPY --chown=me:me d/a d/b /own/
COPY --chown=other d/a /own2/
FROM a AS s12
WORKDIR /w/x
RUN look /w > /look
FROM a AS s13
USER me
WORKDIR /w/y
RUN id > /tmp/id; ls -la /w | awk '{print $1,$2,$3,$4,$9}' > /tmp/ls
FROM a AS s14
COPY --link d/b /o/x
RUN look /o /d > /look
FROM a AS s15
ADD x.tar /
ADD x.tar /o/
RUN look /o /d > /look
FROM base AS s16
COPY --from=s9 /d /o
COPY --from=s9 --chown=me /d/a /etc/passwd /o2/
FROM base AS s17
RUN --mount=from=a,source=/d/a,target=/m look /m > /look
FROM base AS s18
COPY --from=a --exclude=a / /o
FROM a AS s19
RUN --mount=type=cache,target=/d/cc,id=zz look /d > /look; true
"""
# And what comes straight upon it.
STAGE_ENDS = {
    "copy": "FROM a\nCOPY e /new\nRUN look /d /new > /look\n",
    "run": "FROM a\nRUN look /d > /look\n",
    "link": "FROM a\nCOPY --link e /new\nRUN echo > /x\n",
    "workdir": "FROM a\nWORKDIR /w\nRUN look /w > /look\n",
    "from": "FROM a\nLABEL a=b\n",
    "copy from root": "FROM scratch\nCOPY --from=a / /\nRUN look /d /etc > /look; stat -c '%a %u' / >> /look\n",
}
# Dockerfiles that must not be taken for each other, or may.
DIRECTORY = ("FROM base AS a\n"
             "RUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b && ln /d/a /d/h && mkdir /d/s && echo 3 > /d/s/c\n")
PAIRS = (
    ("FROM base\nCOPY a /o\n", "FROM base\nCOPY a /o/\n"),
    ("FROM base\nCOPY d /o\n", "FROM base\nCOPY d/ /o\n"),
    ("FROM base\nCOPY d/a d/b /o/\n", "FROM base\nCOPY d/b d/a /o/\n"),
    ("FROM base\nCOPY --link d /o\n", "FROM base\nCOPY d /o\n"),
    ("FROM base\nCOPY --parents d/s /o\n", "FROM base\nCOPY --parents d/./s /o\n"),
    ("FROM base\nCOPY --exclude=a --exclude=b d /o\n", "FROM base\nCOPY --exclude=b --exclude=!a --exclude=a d /o\n"),
    ("FROM base\nCOPY --exclude=* --exclude=!a d /o\n", "FROM base\nCOPY --exclude=!a --exclude=* d /o\n"),
    ("FROM base\nCOPY --chmod=644 d /o\n", "FROM base\nCOPY --chmod=u=rw,go=r d /o\n"),
    ("FROM base\nCOPY --chmod=0 d/a /o\n", "FROM base\nCOPY d/a /o\n"),
    ("FROM base\nCOPY --chmod=a+X d /o\n", "FROM base\nCOPY --chmod=a+x d /o\n"),
    ("FROM base\nCOPY --chown=me d /o\n", "FROM base\nCOPY --chown=1000:1000 d /o\n"),
    ("FROM base\nCOPY --chown=me d /o\n", "FROM base\nRUN sed -i s/1000/1001/ /etc/passwd\nCOPY --chown=me d /o\n"),
    ("FROM base\nCOPY --chown=:other d /o\n", "FROM base\nCOPY --chown=0:other d /o\n"),
    ("FROM base\nCOPY --chown=0:0 d /o\n", "FROM base\nCOPY d /o\n"),
    ("FROM base\nADD x.tar /o/\n", "FROM base\nCOPY x.tar /o/\n"),
    ("FROM base\nADD --unpack=false x.tar /o/\n", "FROM base\nADD x.tar /o/\n"),
    ("FROM base\nADD x.tar /o\n", "FROM base\nADD x.tar /o/\n"),
    ("FROM base\nADD --chown=5:6 x.tar /o/\n", "FROM base\nADD x.tar /o/\n"),
    ("FROM base\nADD @URL@/f /o/\n", "FROM base\nADD @URL@/f /o/g\n"),
    ("FROM base\nADD @URL@/f.tar /o/\n", "FROM base\nADD --unpack=true @URL@/f.tar /o/\n"),
    ("FROM base\nADD @URL@/f /o/\n", "FROM base\nADD --chmod=600 @URL@/f /o/\n"),
    ("FROM base\nADD @URL@/git/repo.git /o\n", "FROM base\nADD @URL@/git/repo.git#main /o\n"),
    ("FROM base\nADD @URL@/git/repo.git /o\n", "FROM base\nADD --keep-git-dir=true @URL@/git/repo.git /o\n"),
    ("FROM base\nRUN <<E\necho a > /x\nE\n", "FROM base\nRUN <<'E'\necho a > /x\nE\n"),
    ("FROM base\nENV V=1\nRUN <<E\necho $V > /x\nE\n", "FROM base\nENV V=2\nRUN <<E\necho $V > /x\nE\n"),
    ("FROM base\nENV V=1\nCOPY <<E /x\n$V\nE\n", "FROM base\nENV V=1\nCOPY <<'E' /x\n$V\nE\n"),
    ("FROM base\nCOPY <<a <<b /o/\n1\na\n2\nb\n", "FROM base\nCOPY <<b <<a /o/\n1\nb\n2\na\n"),
    ("FROM base\nRUN echo $0 > /x\n", 'FROM base\nSHELL ["/bin/busybox", "sh", "-c"]\nRUN echo $0 > /x\n'),
    ('FROM base\nRUN ["sh", "-c", "echo a > /x"]\n', 'FROM base\nRUN ["sh", "-ec", "echo a > /x"]\n'),
    ("FROM base\nRUN echo 'a  b' > /x\n", "FROM base\nRUN echo 'a b' > /x\n"),
    ('FROM base\nRUN echo "a" \\\n # c\n b > /x\n', 'FROM base\nRUN echo "a" \\\n  b > /x\n'),
    ("FROM base\nENV A=1 B=2\nRUN env | sort > /x\n", "FROM base\nENV B=2 A=1\nRUN env | sort > /x\n"),
    ("FROM base\nENV A=1\nRUN env > /x\n", "FROM base\nARG A=1\nRUN env > /x\n"),
    ("FROM base\nARG A\nRUN env > /x\n", "FROM base\nARG A=\nRUN env > /x\n"),
    ("FROM base\nARG A=1\nENV A=2\nRUN echo $A > /x\n", "FROM base\nENV A=2\nARG A=1\nRUN echo $A > /x\n"),
    ("FROM base\nENV A=\nRUN env > /x\n", "FROM base\nRUN env > /x\n"),
    ("FROM base\nUSER me\nRUN id > /tmp/x\n", "FROM base\nUSER 1000\nRUN id > /tmp/x\n"),
    ("FROM base\nUSER 1000:50\nRUN id > /tmp/x\n", "FROM base\nUSER 1000\nRUN id > /tmp/x\n"),
    ("FROM base\nUSER me\nWORKDIR /w\nUSER root\nRUN stat -c %U /w > /x\n",
     "FROM base\nWORKDIR /w\nUSER root\nRUN stat -c %U /w > /x\n"),
    ("FROM base\nRUN ln -s /d /w && mkdir /d\nWORKDIR /w/x\nRUN pwd -P > /x; pwd >> /x\n",
     "FROM base\nRUN mkdir /w && mkdir /d\nWORKDIR /w/x\nRUN pwd -P > /x; pwd >> /x\n"),
    ("FROM base\nWORKDIR /a/b\nRUN pwd > /x\n", "FROM base\nWORKDIR /a\nWORKDIR b\nRUN pwd > /x\n"),
    ("FROM base\nRUN mkdir -m 700 /w\nWORKDIR /w\nRUN stat -c %a . > /x\n",
     "FROM base\nRUN mkdir -m 755 /w\nWORKDIR /w\nRUN stat -c %a . > /x\n"),
    ("FROM base\nVOLUME /v\nRUN echo 1 > /v\n", "FROM base\nRUN echo 1 > /v\n"),
    ("FROM base\nLABEL a=1\nRUN echo > /x\n", "FROM base\nRUN echo > /x\nLABEL a=1\n"),
    ("FROM base\nHEALTHCHECK CMD a\n", "FROM base\nHEALTHCHECK --interval=5s CMD a\n"),
    ("FROM base\nCMD a\nENTRYPOINT b\n", "FROM base\nENTRYPOINT b\nCMD a\n"),
    ("FROM base\nRUN --network=none ls /sys/class/net > /x\n", "FROM base\nRUN ls /sys/class/net > /x\n"),
    ("FROM base\nRUN --mount=type=tmpfs,target=/t echo 1 > /t/x; ls /t > /x\n",
     "FROM base\nRUN mkdir -p /t; echo 1 > /t/x; ls /t > /x\n"),
    ("FROM base\nRUN --mount=type=tmpfs,target=/t,size=1m df -k /t | awk 'NR==2{print $2}' > /x\n",
     "FROM base\nRUN --mount=type=tmpfs,target=/t,size=2m df -k /t | awk 'NR==2{print $2}' > /x\n"),
    ("FROM base\nRUN --mount=type=secret,id=s,mode=0444 stat -c %a /run/secrets/s > /x\n",
     "FROM base\nRUN --mount=type=secret,id=s,mode=0400 stat -c %a /run/secrets/s > /x\n"),
    ("FROM base\nRUN --mount=type=secret,id=s ls /run/secrets > /x\n",
     "FROM base\nRUN --mount=type=secret,id=nope ls /run/secrets > /x; true\n"),
    ("FROM base\nRUN --mount=type=secret,id=s,env=X env | grep -c X= > /x\n",
     "FROM base\nRUN --mount=type=secret,id=s,env=Y env | grep -c X= > /x; true\n"),
    ("FROM base\nRUN --mount=type=ssh,mode=0666 stat -c %a $SSH_AUTH_SOCK > /x\n",
     "FROM base\nRUN --mount=type=ssh stat -c %a $SSH_AUTH_SOCK > /x\n"),
    ("FROM base\nRUN --mount=source=d,target=/m touch /m/q 2>/x; true\n",
     "FROM base\nRUN --mount=source=d,target=/m,rw touch /m/q 2>/x; true\n"),
    ("FROM base\nRUN --mount=source=d,target=/m look /m > /x\n",
     "FROM base\nRUN --mount=source=e,target=/m look /m > /x\n"),
    ("FROM base\nRUN --mount=source=d/a,target=/m cat /m > /x\n",
     "FROM base\nRUN --mount=source=d/b,target=/m cat /m > /x\n"),
    (DIRECTORY + "FROM base\nRUN --mount=from=a,source=/d,target=/m look /m > /x\n",
     DIRECTORY + "FROM base\nRUN --mount=from=a,source=/d/s,target=/m look /m > /x\n"),
    (DIRECTORY + "FROM base\nRUN --mount=from=a,source=/d,target=/m look /m > /x\n",
     DIRECTORY.replace("ln /d/a", "cp -p /d/a") + "FROM base\nRUN --mount=from=a,source=/d,target=/m look /m > /x\n"),
    (DIRECTORY + "FROM base\nRUN --mount=from=a,source=/d,target=/m --mount=from=base,source=/data,target=/n look /m /n > /x\n",
     DIRECTORY + "FROM base\nRUN --mount=from=base,source=/data,target=/m --mount=from=a,source=/d,target=/n look /m /n > /x\n"),
    (DIRECTORY + "FROM base\nCOPY --from=a /d /o\n", DIRECTORY + "FROM base\nCOPY --from=a /d/ /o\n"),
    (DIRECTORY + "FROM base\nCOPY --from=a /d/a /d/h /o/\n", DIRECTORY + "FROM base\nCOPY --from=a /d/h /d/a /o/\n"),
    (DIRECTORY + "FROM base\nCOPY --from=a /d/a /o/\nCOPY --from=a /d/h /o/\n",
     DIRECTORY + "FROM base\nCOPY --from=a /d /o\n"),
    (DIRECTORY + "FROM a\nRUN rm -r /d/s\nRUN ls /d > /x\n",
     DIRECTORY + "FROM a\nRUN rm -r /d/s && mkdir /d/s\nRUN ls /d > /x\n"),
    (DIRECTORY + "FROM a\nRUN rm /d/a\nRUN stat -c %h /d/h > /x\n",
     DIRECTORY + "FROM a\nRUN echo 1 > /d/z\nRUN stat -c %h /d/h > /x\n"),
    (DIRECTORY + "FROM a\nRUN mv /d /e\nRUN look /e > /x\n",
     DIRECTORY + "FROM a\nRUN cp -a /d /e && rm -r /d\nRUN look /e > /x\n"),
    (DIRECTORY + "FROM a\nRUN rm -r /d && mkdir /d && echo 1 > /d/a\nRUN look /d > /x\n",
     DIRECTORY + "FROM a\nRUN rm -r /d/s /d/b /d/h\nRUN look /d > /x\n"),
    (DIRECTORY + "FROM a\nCOPY --link a /d/s\nRUN look /d > /x\n",
     DIRECTORY + "FROM a\nCOPY a /d/s\nRUN look /d > /x; true\n"),
    (DIRECTORY + "FROM a\nRUN ln -s /d /o\nCOPY --link a /o/\nRUN look /d /o > /x\n",
     DIRECTORY + "FROM a\nRUN ln -s /d /o\nCOPY a /o/\nRUN look /d /o > /x\n"),
    ("FROM base AS a\nONBUILD RUN echo 1 > /x\nFROM a\nRUN true\n",
     "FROM base AS a\nONBUILD RUN echo 2 > /x\nFROM a\nRUN true\n"),
    ("FROM base AS a\nFROM a\nRUN echo 1 > /x\n", "FROM scratch AS a\nCOPY --from=base / /\nFROM a\nRUN echo 1 > /x\n"),
    ("FROM base\nRUN echo $TARGETARCH > /x\n", "FROM base\nARG TARGETARCH\nRUN echo $TARGETARCH > /x\n"),
    ("FROM base\nARG SOURCE_DATE_EPOCH=5\nRUN echo $SOURCE_DATE_EPOCH > /x\n",
     "FROM base\nARG SOURCE_DATE_EPOCH=6\nRUN echo $SOURCE_DATE_EPOCH > /x\n"),
    ("FROM base\nRUN echo a > /x # c\n", "FROM base\nRUN echo a > /x\n"),
    ("FROM base\nRUN --mount=type=cache,target=/c,mode=700 stat -c %a /c > /x\n",
     "FROM base\nRUN --mount=type=cache,target=/c,mode=711 stat -c %a /c > /x\n"),
    ("FROM base\nRUN --mount=type=cache,target=/c,from=base,source=/data look /c > /x\n",
     "FROM base\nRUN --mount=type=cache,target=/c,from=base,source=/etc look /c > /x\n"),
    ("FROM base\nRUN --mount=type=cache,target=/c,ro touch /c/x 2> /x; true\n",
     "FROM base\nRUN --mount=type=cache,target=/c,id=other touch /c/x 2> /x; true\n"),
)


def gathered(stages, text):
    """Ends a Dockerfile with a stage that has what all others made."""
    copies = "".join(f"COPY --from=s{number} --exclude=bin --exclude=proc / /r/{number}/\n" for number in range(1, stages + 1))
    return f"{text}FROM base\n{copies}"


def context_builds():
    """(name, shell before the build, Dockerfile)."""
    text = gathered(22, CONTEXT_USES)
    for name, change in CONTEXT_CHANGES.items():
        yield f"context: {name}", change, text
        yield f"context: {name}, back", CONTEXT_BACK, text


CONTEXT_BACK = ("rm -f Dockerfile.dockerignore; setfattr -x user.z $C; chmod 755 $C other; rm -rf other/.dockerignore\n" +
                FILES)


def stage_builds():
    ends = {"all": gathered(19, STAGE_HEAD + STAGE_USES), **{name: STAGE_HEAD + end for name, end in STAGE_ENDS.items()}}
    for end, text in ends.items():
        for name, change in STAGE_CHANGES.items():
            yield f"stage: {end}, {name}", "true", text.replace("@CHANGE@", change)
            yield f"stage: {end}, {name}, back", "true", text.replace("@CHANGE@", "true && true")


def pair_builds():
    for one, other in PAIRS:
        for text in (one, other, one, other):
            yield f"pair: {text!r}", "true", "# syntax=docker/dockerfile:1-labs\n" + text


PARTS = (context_builds, stage_builds, pair_builds)


def run(part, root, counts):
    """Does one of PARTS in a workspace of its own; yields what differs, as (name, Difference)."""
    workspace = Workspace(root, root / part.__name__)
    try:
        player = playing.Player(workspace, counts)
        workspace.shell(FILES + "tar -C other -cf www/f.tar .; echo web > www/f\n"
                        "git init -q -b main repo; echo g > repo/g; $COMMIT")
        for name, shell, text in part():
            try:
                player.play(cases.Shell(shell))
                player.play(cases.Dockerfile([(0, text)]))
                player.play(cases.Build())
            except Difference as error:
                yield name, error
    finally:
        workspace.close()
