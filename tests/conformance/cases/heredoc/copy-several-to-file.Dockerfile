FROM busybox
COPY <<A <<B /f
a
A
b
B
