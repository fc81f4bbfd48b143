#: fails 3 failed to process '\$\{V/x\}': syntax error: missing '/'
FROM busybox
ENV A=${V/x}
