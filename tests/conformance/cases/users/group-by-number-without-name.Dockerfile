FROM users
USER alice:12345
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out
