#: fails 3 circular dependency detected on stage: one
FROM busybox AS one
COPY --from=one /out /copy
