#: fails 4 cannot copy to non-directory: /f
FROM busybox
RUN touch /f
COPY dir /f
