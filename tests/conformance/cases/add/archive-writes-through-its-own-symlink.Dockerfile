#: fails 3 '/l/through': bad tar: '/l' is not a directory
FROM busybox
ADD through.tar /x/
