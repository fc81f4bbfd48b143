FROM busybox
ARG V=val
LABEL a=$V b="x $V" c='$V' $V=name
