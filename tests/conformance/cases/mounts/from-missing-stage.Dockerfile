#: fails 3 invalid reference format: 'Not_A/Valid:Name!': 'Not_A' is not a valid
FROM busybox
RUN --mount=from=Not_A/Valid:Name!,target=/m true
