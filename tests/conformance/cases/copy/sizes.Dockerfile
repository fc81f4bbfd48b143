#: context special
FROM busybox
COPY empty big sparse /x/
