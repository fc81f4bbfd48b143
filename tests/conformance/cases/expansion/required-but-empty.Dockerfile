#: fails 4 failed to process '"\$\{EMPTY:\?not empty please\}"': EMPTY: not empty
FROM busybox
ENV EMPTY=
ENV A="${EMPTY:?not empty please}"
