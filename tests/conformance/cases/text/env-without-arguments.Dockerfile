#: fails 3 ENV requires at least one argument
FROM busybox
ENV
