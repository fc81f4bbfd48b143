FROM busybox
RUN --mount=type=cache,id=keeps,target=/c echo one > /c/f
RUN --mount=type=cache,id=keeps,target=/other cat /other/f > /out
