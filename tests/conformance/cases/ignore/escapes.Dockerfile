#: file .dockerignore \\\\#odd\n\\\\!bang\nwith space\n
FROM busybox
COPY . /x
