FROM busybox
ARG A=1
ARG B=${A}2 C=$A
RUN echo "$A $B $C" > /out
