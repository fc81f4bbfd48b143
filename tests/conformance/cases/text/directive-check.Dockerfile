# check=skip=all
FROM busybox
RUN true
