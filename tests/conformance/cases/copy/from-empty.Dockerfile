#: fails 3 "/etc/passwd" not found in the build context
FROM busybox
COPY --from= /etc/passwd /x
