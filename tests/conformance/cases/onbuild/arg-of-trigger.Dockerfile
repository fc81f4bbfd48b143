#: args WHO=cli
#: file hello.txt hello\n
FROM onbuild
