FROM busybox
RUN mkdir /many && cd /many && for i in $(seq 1 500); do echo $i > f$i; done
RUN rm /many/f*7
