#: file .dockerignore .dockerignore\nDockerfile\n
#: file Dockerfile FROM busybox\n
FROM busybox
COPY . /x
