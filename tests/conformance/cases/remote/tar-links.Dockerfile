#: remote tar.gz
#: context links
FROM busybox
COPY tree /c/
COPY to-file hard /d/
