FROM busybox
RUN echo 'new:x:555:666::/new:/bin/sh' >> /etc/passwd
USER new
RUN id -u > /tmp/out; echo $HOME >> /tmp/out
