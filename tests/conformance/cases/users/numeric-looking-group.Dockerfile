#: differs tree/tmp/out data: BuildKit takes the number as the gid and the gid of the group of that name as another group
FROM users
USER alice:88
RUN grep -E '^(Uid|Gid|Groups)' /proc/self/status > /tmp/out
