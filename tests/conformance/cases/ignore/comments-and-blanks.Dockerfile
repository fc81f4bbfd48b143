#: file .dockerignore # comment\n\n   \n  # indented is a name\n#odd\nREADME.md  \n
FROM busybox
COPY . /x
