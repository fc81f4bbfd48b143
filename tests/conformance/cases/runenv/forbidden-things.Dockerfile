FROM busybox
RUN mount -t tmpfs x /mnt 2>/dev/null && echo mounted >> /out; mknod /x c 1 3 && echo mknod >> /out; hostname new 2>/dev/null && echo hostname >> /out; chroot / true && echo chroot >> /out; echo 1 > /proc/sys/kernel/sysrq 2>/dev/null && echo sysctl >> /out; rm -f /x; true
