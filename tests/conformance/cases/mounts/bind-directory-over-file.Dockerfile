#: fails 4 could not mount at '/f': the target is a file
FROM busybox
RUN touch /f
RUN --mount=source=dir,target=/f ls /f
