#: differs tree/a owner: BuildKit makes root of a uid that does not fit in 31 bits
FROM busybox
COPY --chown=4000000000:3000000 a.txt /a
