FROM busybox
RUN mkfifo /fifo && mknod /null c 1 3 && mknod -m 640 /loop b 7 1 && ln -s nowhere /dangling && ln -s / /root-link && mkdir -m 1777 /sticky && touch /empty && chmod 0 /empty
