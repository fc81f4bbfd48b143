#: args A=1
FROM busybox
ARG A
ENV B=2
RUN env | grep -v -e OTEL -e TRACEPARENT | sort > /out
