FROM busybox
ENV IN=inner
ENV A=${UNSET:-${IN}} B=${UNSET:-"$IN and ${OTHER:-more}"} C=${IN:+[${IN}]} D=${UNSET:-a${IN}b}
