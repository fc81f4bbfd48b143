#: fails 2 invalid name for build stage: 'a/b'
FROM busybox AS a/b
