#: remote git?ref=main&subdir=sub
#: file sub/Dockerfile FROM busybox\nCOPY . /c/\n
#: file sub/a a\n
FROM busybox
RUN false
