FROM busybox
RUN touch /dev/mine; mkdir /dev/dir; echo x > /dev/shm/f; ls /dev | grep -v otel | sort > /dev-list
