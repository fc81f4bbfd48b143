FROM busybox
COPY dir /d
RUN rm -r /d
COPY dir2 /d
