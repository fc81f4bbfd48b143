FROM busybox
RUN mkdir /d && ln -s ../../../../../etc /d/link
COPY a.txt /d/link/
