#: fails 3 exit code: 1
FROM busybox
RUN --mount=type=cache,id=ro,target=/c,ro touch /c/x
