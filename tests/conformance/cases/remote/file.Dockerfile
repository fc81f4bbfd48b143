#: remote file
FROM busybox
RUN echo file > /out
