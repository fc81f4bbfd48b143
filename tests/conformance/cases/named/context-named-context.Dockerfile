#: named context=copy
#: file mine m\n
FROM busybox
COPY . /c
COPY --from=context . /n
