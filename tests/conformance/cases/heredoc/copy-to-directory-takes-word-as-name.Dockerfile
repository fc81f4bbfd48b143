FROM busybox
COPY <<robots.txt /www/
x
robots.txt
