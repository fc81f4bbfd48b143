FROM users
COPY --chown=alice:nogrouphere a.txt /a
