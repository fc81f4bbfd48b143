FROM users
USER 1001:4
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out
