#: platform linux/arm64
FROM scratch
COPY --from=platforms /arch /arch
