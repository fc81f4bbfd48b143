FROM scratch AS s
COPY a.txt /a.txt
FROM busybox
COPY --from=s / /x/
