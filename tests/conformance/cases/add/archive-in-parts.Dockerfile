#: context formats
FROM busybox
ADD parts.gz /gz/
ADD parts.bz2 /bz2/
ADD parts.xz /xz/
ADD parts.zst /zst/
