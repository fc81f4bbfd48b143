FROM busybox AS one
SHELL ["/bin/sh", "-ec"]
FROM one
RUN echo x > /out
CMD y
