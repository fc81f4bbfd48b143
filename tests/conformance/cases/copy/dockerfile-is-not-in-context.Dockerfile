#: fails 3 "/Dockerfile" not found in the build context
FROM busybox
COPY Dockerfile /x
