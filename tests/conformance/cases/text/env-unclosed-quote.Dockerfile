#: fails 3 failed to process '"open': unexpected end of statement while looking
FROM busybox
ENV A="open
