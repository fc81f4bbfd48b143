FROM busybox
COPY ../../a.txt /x
COPY /a.txt /y
COPY ./dir/../b.txt /z
