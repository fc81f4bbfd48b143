#: file .dockerignore **/*.md\n**/node_modules\n
FROM busybox
COPY . /x
