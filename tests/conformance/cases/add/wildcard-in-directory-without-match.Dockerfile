#: fails 3 "/many/\*.nothing" not found in the build context
FROM busybox
ADD many/*.nothing /no-match-add/
