#: target MiDDle
FROM busybox AS Middle
RUN echo 1 > /1
FROM busybox
