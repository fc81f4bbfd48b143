FROM busybox
RUN seq 1 20000; seq 1 20000 >&2; echo done > /out
