#: fails 4 cannot copy to non-directory: /f
FROM busybox
RUN touch /f
ADD a.tar /f
