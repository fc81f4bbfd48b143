FROM busybox
RUN echo x > /name
RUN mv /name /NAME
