#: fails 5 variable expansion is not supported for --from, define a new stage with
FROM busybox AS one
FROM busybox
ARG S=one
COPY --from=$S /bin/busybox /x
