#: fails 3 invalid value for --retries: 'many'
FROM busybox
HEALTHCHECK --retries=many CMD x
