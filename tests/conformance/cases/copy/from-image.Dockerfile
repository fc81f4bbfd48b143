FROM busybox
COPY --from=other /opt/other /x
COPY --from=other:latest /opt /y
