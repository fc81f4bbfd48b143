FROM scratch
COPY --from=other / /
