FROM other AS busybox2
RUN echo x > /x
FROM busybox2
