#: context links
FROM busybox
COPY tree /x
COPY . /all/
