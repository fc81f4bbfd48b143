#: fails 3 failed to process '\$\{V:3\}': unsupported modifier \(:3\) in
FROM busybox
ENV A=${V:3}
