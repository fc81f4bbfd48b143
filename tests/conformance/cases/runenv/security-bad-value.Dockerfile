#: fails 3 security 'loose' is not valid: it must be sandbox or insecure
FROM busybox
RUN --security=loose true
