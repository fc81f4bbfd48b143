#: context special
FROM busybox
COPY modes /modes
COPY modes/setuid modes/none /named/
