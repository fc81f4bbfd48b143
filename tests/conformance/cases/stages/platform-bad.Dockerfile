#: fails 2 invalid platform 'linux/amd64/x/y/z': expected
FROM --platform=linux/amd64/x/y/z busybox
