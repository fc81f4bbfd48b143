FROM busybox
RUN --mount=type=cache,id=kp,target=/c/d touch /c/beside
RUN --mount=type=bind,target=/etc/m true
