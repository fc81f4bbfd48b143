#: target nothere
#: fails - target stage "nothere" could not be found
FROM busybox AS one
