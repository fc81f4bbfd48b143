#: fails 3 FROM isn't allowed as an ONBUILD trigger
FROM busybox
ONBUILD FROM busybox
