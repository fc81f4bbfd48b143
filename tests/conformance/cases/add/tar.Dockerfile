#: differs tree/x/d/* mtime: BuildKit takes the time of a hard link's own entry
FROM busybox
ADD a.tar /x/
#: mtimes x/d x/d/file x/d/owned
