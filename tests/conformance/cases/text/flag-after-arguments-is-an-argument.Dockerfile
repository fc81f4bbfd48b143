#: context copy
#: fails 4 "/--chown=1" not found in the build context
FROM busybox
COPY a.txt --chown=1 /dst
