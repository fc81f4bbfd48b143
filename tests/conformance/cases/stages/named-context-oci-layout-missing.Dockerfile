#: named base=docker-image://127.0.0.1:1/not/there
#: fails 3 .*/not/there:latest: could not fetch the manifest of
FROM base
