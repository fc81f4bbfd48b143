#: ssh mine
#: fails 4 other
FROM busybox
RUN --mount=type=ssh,id=other,required true
