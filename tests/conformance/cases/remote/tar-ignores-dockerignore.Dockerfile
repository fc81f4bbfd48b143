#: remote tar
#: file .dockerignore a\n
#: file a a\n
FROM busybox
COPY . /c/
RUN ls -R /c > /list
