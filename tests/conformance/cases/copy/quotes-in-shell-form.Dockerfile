FROM busybox
COPY "a.txt" '/single'
COPY a"."txt /mid"dle"
