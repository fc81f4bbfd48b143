#: differs outcome/buildkit: it looks for the source in the root of the host
FROM busybox
RUN --mount=type=tmpfs,target=/t,source=not-on-any-host : of this case alone
