FROM busybox
COPY <<a.conf <<b.conf /etc/conf/
a
a.conf
b
b.conf
