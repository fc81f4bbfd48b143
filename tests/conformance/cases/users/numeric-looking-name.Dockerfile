FROM users
USER 77
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out
