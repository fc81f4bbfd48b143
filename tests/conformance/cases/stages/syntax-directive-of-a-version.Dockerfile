# syntax = docker/dockerfile:1.7-labs
FROM busybox
RUN echo x > /x
