FROM busybox
RUN mkdir /d && echo below > /d/f
RUN --mount=type=tmpfs,target=/d ls -a /d > /out; echo lost > /d/g
