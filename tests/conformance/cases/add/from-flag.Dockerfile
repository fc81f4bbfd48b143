#: fails 3 unknown flag: --from
FROM busybox
ADD --from=busybox /bin/sh /x
