#: fails 3 '/h': bad tar: its hard link's target '/not-there' is not an earlier file
FROM busybox
ADD bad-link.tar /x/
