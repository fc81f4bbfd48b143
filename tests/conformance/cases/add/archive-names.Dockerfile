#: differs tree/x/trailing type: libarchive takes a file whose name ends in a slash for a directory, as old tars mean it
FROM busybox
ADD names.tar /x/
