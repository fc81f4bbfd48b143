FROM busybox
RUN ls -ld /proc /sys /dev | cut -c1-10 | sort -u > /out
