#: context ignored
FROM busybox
COPY --exclude=nothing x.log /renamed
