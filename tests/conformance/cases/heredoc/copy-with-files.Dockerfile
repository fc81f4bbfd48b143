#: context copy
FROM busybox
COPY a.txt <<inline b.txt /x/
text
inline
