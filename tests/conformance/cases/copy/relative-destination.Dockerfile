FROM busybox
WORKDIR /w/x
COPY a.txt b
COPY a.txt c/
COPY a.txt ./d/e
COPY a.txt ../up
