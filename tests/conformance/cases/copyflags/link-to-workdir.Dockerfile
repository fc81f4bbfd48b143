FROM busybox
WORKDIR /w
COPY --link a.txt .
COPY --link a.txt sub/x
