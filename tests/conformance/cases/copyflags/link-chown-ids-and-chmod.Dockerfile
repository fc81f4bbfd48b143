FROM users
COPY --link --chown=1001:2001 --chmod=600 a.txt /a
