FROM busybox
RUN rm /bin/wget /etc/group
