FROM busybox
RUN touch /dev/shm/x && ls /dev/shm > /out
RUN ls /dev/shm > /out2
