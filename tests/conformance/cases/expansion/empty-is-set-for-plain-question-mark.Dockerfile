FROM busybox
ENV EMPTY=
ENV A=x${EMPTY?must-be-set}
