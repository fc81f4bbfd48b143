#: fails 3 invalid value for mode: '999'
FROM busybox
RUN --mount=type=secret,id=x,mode=999 true
