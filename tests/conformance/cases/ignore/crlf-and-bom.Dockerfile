#: file .dockerignore README.md\r\ndocs\r\n
FROM busybox
COPY . /x
