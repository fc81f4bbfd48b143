#: remote tar
#: fails 4 unknown instruction: .RUNN.
FROM busybox
RUNN x
