FROM busybox
COPY --exclude=docs/* --exclude=!docs/a.md . /x/
