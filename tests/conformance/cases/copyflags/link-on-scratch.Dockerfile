FROM scratch
COPY --link a.txt /
COPY --link dir /d
