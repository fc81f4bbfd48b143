FROM busybox
ARG U=12 M=640
COPY --chown=$U:34 --chmod=$M a.txt /one
ENV X=b.txt
COPY --exclude=$X *.txt /dst/
