#: fails 4 cannot copy to non-directory: /f
FROM busybox
RUN touch /f
COPY a.txt /f/x
