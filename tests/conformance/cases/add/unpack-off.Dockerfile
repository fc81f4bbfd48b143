FROM busybox
ADD --unpack=false a.tar /x/
