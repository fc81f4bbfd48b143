#: args GIVEN=cli EMPTYGIVEN=
FROM busybox
ARG GIVEN=default
ARG OTHER=default
ARG EMPTYGIVEN=default
ARG NONE
RUN echo "$GIVEN $OTHER [$EMPTYGIVEN] [${NONE-unset}]" > /out; env | sort | grep -v -e OTEL -e TRACEPARENT > /env
