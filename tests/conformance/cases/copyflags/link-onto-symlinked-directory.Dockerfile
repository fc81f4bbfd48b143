FROM merged
COPY --link dir /rel
