FROM busybox
RUN echo 192.0.2.1 mine >> /etc/hosts 2>/dev/null; echo h > /etc/hostname; echo o > /etc/other
