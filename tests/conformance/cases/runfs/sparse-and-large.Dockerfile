FROM busybox
RUN dd if=/dev/zero of=/sparse bs=1 count=0 seek=5000000 2>/dev/null; yes | head -c 3000000 > /large
