#: file .dockerignore *\n!src\n!README.md\nsrc/node_modules\n
FROM busybox
COPY . /x
