FROM users
COPY --chown=77:88 a.txt /a
