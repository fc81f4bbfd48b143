#: call outline
#: differs answer: only in lade*: lade lists cache mounts in the text, too
FROM busybox
RUN --mount=type=cache,target=/c --mount=type=cache,id=z,target=/d true
