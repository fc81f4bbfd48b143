#: fails 3 '/h': bad tar: its hard link's target '/not-there' is no earlier file
FROM busybox
ADD bad-link.tar /x/
