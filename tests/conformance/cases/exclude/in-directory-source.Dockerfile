FROM busybox
COPY --exclude=deep docs /x/
COPY --exclude=docs/deep docs /y/
COPY --exclude=*.md docs /z/
