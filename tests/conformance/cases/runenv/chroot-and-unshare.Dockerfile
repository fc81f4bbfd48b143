FROM busybox
RUN chroot / /bin/true && echo ok > /out; unshare -m true 2>/dev/null && echo unshared >> /out; true
