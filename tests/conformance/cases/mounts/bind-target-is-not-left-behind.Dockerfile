FROM busybox
RUN --mount=source=a.txt,target=/made/for/it cat /made/for/it > /out
RUN --mount=target=/made2/dir true
RUN --mount=target=/kept/dir touch /kept/f
