#: named mixed=copy
#: fails 4 MIXED
FROM busybox
COPY --from=MIXED a.txt /x
