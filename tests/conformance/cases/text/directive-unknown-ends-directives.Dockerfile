# unknown=1
# escape=`
FROM busybox
RUN echo a \
 b > /out
