#: file .dockerignore src\n
#: beside Dockerfile.dockerignore docs\n
FROM busybox
COPY . /x
