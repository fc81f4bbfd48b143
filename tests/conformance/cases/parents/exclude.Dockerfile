FROM busybox
COPY --parents --exclude=**/*.txt dir /x/
