FROM busybox
RUN grep -E '^Sig(Ign|Blk)' /proc/self/status > /out
