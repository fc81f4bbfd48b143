#: args NOBODY=asked
FROM busybox
RUN env | grep -c NOBODY > /out || true
