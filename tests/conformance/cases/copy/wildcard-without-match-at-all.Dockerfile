FROM busybox
RUN true
COPY nothing*.xyz /x
