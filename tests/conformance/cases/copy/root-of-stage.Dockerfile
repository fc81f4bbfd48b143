FROM scratch AS s
COPY dir /
FROM scratch
COPY --from=s / /
