# escape=\
# escape=`
#: fails 2 only one escape parser directive can be used
#: differs error.line: lade names the second one, BuildKit the first
FROM busybox
