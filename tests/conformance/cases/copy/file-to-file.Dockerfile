FROM busybox
COPY a.txt /dst
COPY script.sh /bin/renamed
#: mtimes dst
