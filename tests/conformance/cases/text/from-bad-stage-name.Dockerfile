#: fails 2 invalid name for build stage: '1st'
FROM busybox AS 1st
