#: fails 3 unknown flag: --foo
FROM busybox
ENV --foo=x A=1
