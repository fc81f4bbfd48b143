FROM busybox
# a comment does not continue \
RUN echo x > /out
