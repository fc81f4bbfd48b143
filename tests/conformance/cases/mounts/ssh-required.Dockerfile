#: fails 3 ssh agent "default" was not given to the build
FROM busybox
RUN --mount=type=ssh,required true
