FROM busybox
RUN n=$(head -c 120 /dev/zero | tr '\0' n) && mkdir -p /$n/$n && touch /$n/$n/$n && ln -s /$n/$n/$n /link
