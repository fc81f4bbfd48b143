FROM busybox
RUN mkdir /x
ADD dot.tar /x/
ADD dot.tar /new/
