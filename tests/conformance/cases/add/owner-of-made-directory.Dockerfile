FROM busybox
ADD --chown=7:8 many/one.tar /made/here/
#: mtimes made/here/one
