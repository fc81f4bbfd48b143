#: remote stdin-file
FROM busybox
RUN echo file > /out
