FROM merged
COPY dir /abs
COPY dir2 /rel/
