#: file .dockerignore docs/\nREADME.md/\n
FROM busybox
COPY . /x
