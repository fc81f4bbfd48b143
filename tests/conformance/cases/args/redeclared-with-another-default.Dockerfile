#: args B=cli
ARG A=global
ARG B=global
FROM busybox
ARG A=stage
ARG B=stage
RUN echo "$A $B" > /out
