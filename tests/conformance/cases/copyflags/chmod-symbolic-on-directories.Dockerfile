FROM busybox
COPY --chmod=a-x dir /d
COPY --chmod=o+w dir2 /e
