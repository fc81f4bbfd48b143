FROM busybox
HEALTHCHECK --interval=1m30s --timeout=3s --start-period=500ms --start-interval=2s --retries=7 CMD ["curl", "x"]
