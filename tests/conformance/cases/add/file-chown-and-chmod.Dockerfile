FROM busybox
ADD --chown=7:8 --chmod=640 plain.txt /x
