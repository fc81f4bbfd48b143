FROM busybox
ENV HOME=
RUN echo "[$HOME]" > /out
