FROM users
USER :staff
RUN id > /tmp/out
