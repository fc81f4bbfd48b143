FROM busybox
ENV SET=set EMPTY=
ENV A=${SET:-d} B=${EMPTY:-d} C=${UNSET:-d} D=${SET-d} E=${EMPTY-d} F=${UNSET-d}
ENV G=${SET:+a} H=${EMPTY:+a} I=${UNSET:+a} J=${SET+a} K=${EMPTY+a} L=${UNSET+a}
