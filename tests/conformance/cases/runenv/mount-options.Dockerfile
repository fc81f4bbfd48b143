FROM busybox
RUN for m in /proc /dev /dev/pts /dev/shm /dev/mqueue /sys; do grep " $m " /proc/mounts | awk '{print $2, $3, $4}' | sed 's/,inode64//; s/size=[0-9]*k,//'; done > /out
