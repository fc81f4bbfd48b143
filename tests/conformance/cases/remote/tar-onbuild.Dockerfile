#: remote tar.gz
#: file hello.txt hello\n
FROM onbuild
