#: context ignored
#: file .dockerignore bracket\\[1\\].txt\nback\\\\slash\n
FROM busybox
COPY . /x
