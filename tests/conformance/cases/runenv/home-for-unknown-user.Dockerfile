FROM busybox
USER 12345
RUN echo "[$HOME]" > /tmp/out
