FROM busybox
RUN --network=default echo x > /out
