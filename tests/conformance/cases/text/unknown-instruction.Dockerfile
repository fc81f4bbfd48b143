#: fails 3 'RUM'(?s:.*)did you mean RUN\?
FROM busybox
RUM echo x
