#: fails 4 exit code: 1
FROM configured
USER 0
RUN false; true
