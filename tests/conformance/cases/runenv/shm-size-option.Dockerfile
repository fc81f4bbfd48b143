#: shm-size 134217728
FROM busybox
RUN df -k /dev/shm | awk 'NR>1 {print $2}' > /out
