#: mtimes abs/a.txt
FROM merged
COPY --link a.txt /abs/
