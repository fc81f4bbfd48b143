FROM busybox
RUN [ -t 1 ] && echo tty > /out || echo no tty > /out
