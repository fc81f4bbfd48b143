FROM busybox
COPY --exclude=**/*.txt . /x/
COPY --exclude=src/x/** . /y/
