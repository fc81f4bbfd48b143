#: fails 3 failed to process '\$\{V!x\}': unsupported modifier \(!\) in
FROM busybox
ENV A=${V!x}
