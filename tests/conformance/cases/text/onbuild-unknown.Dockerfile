# Seen only when the trigger runs.
FROM busybox
ONBUILD FOO bar
