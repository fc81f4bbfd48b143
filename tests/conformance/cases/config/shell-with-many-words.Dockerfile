FROM busybox
SHELL ["/bin/busybox", "sh", "-e", "-u", "-c"]
RUN echo x > /out
CMD run
