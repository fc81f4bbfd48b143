#: context copy
#: args F=b.txt
FROM busybox
ARG F=a.txt
COPY ${F} /out
