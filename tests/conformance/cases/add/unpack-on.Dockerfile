FROM busybox
ADD --unpack a.gz /x/
ADD --unpack=true plain.txt /y/
