FROM busybox
RUN (sh -c 'sleep 0.1 &' ); sleep 0.3; ps | grep -c -e zombie -e '[sleep]$' > /out; true
