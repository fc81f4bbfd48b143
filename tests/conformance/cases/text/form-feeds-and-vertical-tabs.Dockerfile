FROM busybox
ENV A=1B=2
RUN echo ab > /out
