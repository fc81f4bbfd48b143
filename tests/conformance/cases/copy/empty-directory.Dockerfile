FROM busybox
COPY dir/void /v
COPY dir/void/ /w/
#: mtimes v w
