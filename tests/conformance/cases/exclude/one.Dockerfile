FROM busybox
COPY --exclude=*.md . /x/
