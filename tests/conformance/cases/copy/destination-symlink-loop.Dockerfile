#: fails 3 too many symbolic links in '/loop/x'
FROM merged
COPY a.txt /loop/x
