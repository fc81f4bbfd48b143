#: file .dockerignore README.md\ndocs\nsrc/x/y/z.txt\n
FROM busybox
COPY . /x
