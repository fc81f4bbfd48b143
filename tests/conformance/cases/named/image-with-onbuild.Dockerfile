#: named src=docker-image://{registry}/onbuild:latest
#: file hello.txt x\n
FROM src
# onbuild
