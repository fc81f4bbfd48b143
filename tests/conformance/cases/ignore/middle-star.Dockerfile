#: file .dockerignore */*.md\n*/deep\n
FROM busybox
COPY . /x
