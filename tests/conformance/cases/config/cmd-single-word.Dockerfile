FROM busybox
CMD sh
