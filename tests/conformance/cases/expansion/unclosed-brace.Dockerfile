#: fails 3 failed to process '\$\{V': syntax error: missing '\}'
FROM busybox
ENV A=${V
