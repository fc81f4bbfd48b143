FROM odd
RUN chmod 600 /odd/one && chown 9:9 /odd/setgid && chmod 700 /odd/dir
RUN touch -d '2001-02-03 04:05:06' /odd/setuid
#: mtimes odd/setuid
