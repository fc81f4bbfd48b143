FROM busybox
ADD --chown=7:8 a.tar /x/
