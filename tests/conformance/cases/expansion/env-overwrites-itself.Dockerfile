FROM busybox
ENV PATH=/mine:$PATH
ENV PATH=$PATH:/last
RUN echo $PATH > /out
