#: differs tree/x/x xattrs: lade keeps the xattrs of archives, BuildKit does not
FROM busybox
ADD xattr.tar /x/
