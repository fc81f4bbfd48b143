#: fails 3 secret "nothere" was not given to the build
FROM busybox
RUN --mount=type=secret,id=nothere,env=X,required=true true
