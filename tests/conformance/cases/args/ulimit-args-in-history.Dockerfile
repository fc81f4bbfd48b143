#: ulimit nofile=500:600
#: args A=1
FROM busybox
ARG A
RUN echo $A > /out
