FROM busybox
RUN ln -s /later /link
COPY a.txt /link/
COPY b.txt /later/
