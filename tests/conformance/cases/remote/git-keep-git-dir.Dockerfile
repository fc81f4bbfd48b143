#: remote git?keep-git-dir=true
FROM busybox
COPY . /c/
RUN test -d /c/.git && rm -rf /c/.git
FROM busybox
COPY .git/HEAD /head
