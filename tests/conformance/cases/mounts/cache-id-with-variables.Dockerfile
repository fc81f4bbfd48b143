FROM busybox
ARG K=one
RUN --mount=type=cache,id=v-$K,target=/c echo 1 > /c/f
RUN --mount=type=cache,id=v-one,target=/c cat /c/f > /out
