FROM busybox
RUN echo a > /x
COPY a.txt /x
