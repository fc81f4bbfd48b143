FROM busybox
RUN (sh -c 'sleep 0.1 &'); sleep 0.3; ps > /list; grep -c '\[sleep\]' /list > /out; rm /list
