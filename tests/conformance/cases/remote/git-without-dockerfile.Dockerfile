#: remote git#main:sub
#: file sub/a a\n
#: fails - Dockerfile
FROM busybox
