FROM busybox
RUN date +%Z > /out; echo "[$LANG$LC_ALL$TZ$TERM]" >> /out
