#: fails 3 ENV must have two arguments
FROM busybox
ENV NAME
