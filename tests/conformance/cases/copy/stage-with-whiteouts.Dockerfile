FROM odd AS s
RUN rm -r /odd/dir /odd/opaque/new && mkdir /odd/dir
FROM busybox
COPY --from=s /odd/dir /odd/opaque /odd/sticky /x/
