FROM busybox
RUN (echo 192.0.2.1 x >> /etc/hosts) 2>> /out; (echo x > /etc/resolv.conf) 2>> /out; rm /etc/hosts 2>> /out; true
