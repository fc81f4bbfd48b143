#: fails 3 invalid value for rw: 'perhaps'
FROM busybox
RUN --mount=target=/m,rw=perhaps true
