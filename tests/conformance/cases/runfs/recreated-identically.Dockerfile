FROM busybox
RUN cp -p /etc/passwd /p && rm /etc/passwd && cp -p /p /etc/passwd && rm /p
