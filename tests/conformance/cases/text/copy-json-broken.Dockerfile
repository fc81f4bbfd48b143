#: context copy
#: fails 4 malformed pattern '\[a\.txt,': unclosed class
FROM busybox
COPY ["a.txt", "/x" /y
