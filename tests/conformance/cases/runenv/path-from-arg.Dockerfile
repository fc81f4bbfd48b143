FROM busybox
ARG PATH=/bin
RUN echo $PATH > /out
