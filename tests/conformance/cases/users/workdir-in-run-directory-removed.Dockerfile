FROM busybox
WORKDIR /w
RUN rmdir /w
RUN pwd > /out; ls -ld /w | cut -c1-10 >> /out
