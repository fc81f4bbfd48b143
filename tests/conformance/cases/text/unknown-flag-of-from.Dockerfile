#: fails 2 unknown flag: --foo
FROM --foo=x busybox
