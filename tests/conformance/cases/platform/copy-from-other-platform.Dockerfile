#: platform linux/amd64,linux/arm64
FROM --platform=linux/arm64 platforms AS arm
FROM platforms
COPY --from=arm /arch /arm
