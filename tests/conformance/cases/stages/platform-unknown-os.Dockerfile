#: fails 2 no image for beos/amd64; it has linux/amd64, linux/arm64
FROM --platform=beos/amd64 platforms
