FROM busybox
WORKDIR /a/b
COPY a.txt ..
COPY b.txt ../..
