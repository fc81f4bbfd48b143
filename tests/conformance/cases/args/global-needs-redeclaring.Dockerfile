#: args G2=cli
ARG G1=global
ARG G2=global
FROM busybox
RUN echo "[$G1] [$G2]" > /before
ARG G1
ARG G2
RUN echo "[$G1] [$G2]" > /after
