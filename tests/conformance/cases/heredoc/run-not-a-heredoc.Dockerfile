FROM busybox
RUN echo $((1<<3)) > /out
RUN echo "<<EOF" > /out2
