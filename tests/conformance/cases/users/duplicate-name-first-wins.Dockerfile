FROM users
USER alice
RUN id -u > /tmp/out
