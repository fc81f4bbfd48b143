FROM busybox
RUN mkdir /p && touch -d '2000-01-01 00:00:00' /p
RUN --mount=type=tmpfs,target=/p/t true
#: mtimes p
