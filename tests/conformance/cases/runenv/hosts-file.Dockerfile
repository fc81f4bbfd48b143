#: hosts extra.example=192.0.2.7
FROM busybox
RUN cat /etc/hosts > /out
