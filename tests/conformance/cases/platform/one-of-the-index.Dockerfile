#: platform linux/arm64
FROM platforms
COPY --from=platforms /arch /copied
