#: named src=copy
FROM busybox
RUN --mount=from=src,target=/s,source=dir ls -laR /s | grep -v total | cut -c1-10 > /list
