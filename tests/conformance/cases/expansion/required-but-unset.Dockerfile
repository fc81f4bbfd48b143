#: fails 3 failed to process '"\$\{UNSET:\?give me a value\}"': UNSET: give me a
FROM busybox
ENV A="${UNSET:?give me a value}"
