FROM busybox
ADD fake.tar.gz /x/
ADD plain.txt /y
