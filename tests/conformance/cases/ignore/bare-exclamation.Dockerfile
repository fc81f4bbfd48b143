#: file .dockerignore !\n
#: fails - malformed pattern '!': nothing to take back
FROM busybox
COPY . /x
