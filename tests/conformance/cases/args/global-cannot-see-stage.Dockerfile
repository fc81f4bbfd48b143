#: fails 4 base name \(\$NAME\) should not be blank
FROM busybox AS one
ARG NAME=one
FROM $NAME
