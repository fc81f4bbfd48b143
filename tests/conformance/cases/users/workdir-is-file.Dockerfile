#: fails 4 cannot make the directory /f: it is a file
FROM busybox
RUN touch /f
WORKDIR /f
