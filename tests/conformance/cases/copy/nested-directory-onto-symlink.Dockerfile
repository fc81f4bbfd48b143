#: fails 4 cannot copy to non-directory: /d/sub
FROM busybox
RUN mkdir /d /real && ln -s /real /d/sub
COPY dir /d
