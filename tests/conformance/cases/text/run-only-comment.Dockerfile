FROM busybox
RUN # only a comment of the shell
