#: target 7
#: fails - target stage "7" could not be found
FROM busybox
