FROM busybox
COPY --from=merged /abs/file /a
COPY --from=merged /rel /b
COPY --from=merged /file-link /c
COPY --from=merged /bin/sh /sh
