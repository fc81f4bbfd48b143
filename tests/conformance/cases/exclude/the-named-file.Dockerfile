FROM busybox
COPY --exclude=README.md README.md /x/
