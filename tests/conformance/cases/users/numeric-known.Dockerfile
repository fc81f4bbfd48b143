FROM users
USER 1001
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out; echo $HOME >> /tmp/out
