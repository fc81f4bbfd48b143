#: fails 3 '/l/through': bad tar: '/l' is no directory
FROM busybox
ADD through.tar /x/
