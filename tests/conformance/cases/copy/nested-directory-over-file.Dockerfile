#: fails 4 cannot copy to non-directory: /d/sub
FROM busybox
RUN mkdir /d && touch /d/sub
COPY dir /d
