FROM users
USER 4242
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out; echo $HOME >> /tmp/out
