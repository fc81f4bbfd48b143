#: fails 3 nothing of ./dir. is left by --exclude
FROM busybox
COPY --parents --exclude=** dir /x/
