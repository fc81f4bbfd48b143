#: hosts a.example=192.0.2.7 b.example=2001:db8::1
FROM busybox
RUN cat /etc/hosts > /out
