FROM users
USER alice:wheel
RUN id > /tmp/out; grep Groups: /proc/self/status >> /tmp/out
