#: args A=one\ntwo
FROM busybox
ARG A
RUN echo "$A" > /out
