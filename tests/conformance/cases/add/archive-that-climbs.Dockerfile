#: differs outcome/buildkit: lade refuses an archive whose names leave their directory, BuildKit cuts the names
#: fails 4 bad tar: the name '\.\./escaped' leaves its directory
FROM busybox
ADD up.tar /x/y/
