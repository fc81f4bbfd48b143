FROM busybox
RUN --mount=source=dir,target=/etc ls -a /etc > /out
