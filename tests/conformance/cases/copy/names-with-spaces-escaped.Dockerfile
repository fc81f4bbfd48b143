#: fails 3 "/with" not found in the build context
FROM busybox
COPY with\ space.txt /esc\ aped
