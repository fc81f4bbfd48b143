FROM users
USER alice
COPY a.txt /a
COPY --chown=bob b.txt /b
