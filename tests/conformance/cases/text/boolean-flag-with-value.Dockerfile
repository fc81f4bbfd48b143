#: context copy
FROM busybox
COPY --link=false a.txt /one
COPY --link=true a.txt /two
