#: fails 3 unknown flag: --foo
FROM busybox
RUN --foo=bar echo x
