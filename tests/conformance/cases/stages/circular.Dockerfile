#: fails 3 needs to be defined before
FROM busybox AS one
COPY --from=two /x /x
FROM one AS two
RUN true
