FROM busybox
RUN mkdir /d && echo target > /target && ln -s /target /d/one
COPY dir /d
