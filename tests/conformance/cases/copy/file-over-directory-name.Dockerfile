FROM busybox
RUN mkdir -p /d/a.txt
COPY a.txt /d/a.txt
