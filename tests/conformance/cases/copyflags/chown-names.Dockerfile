FROM users
COPY --chown=alice:staff a.txt /a
COPY --chown=alice a.txt /b
COPY --chown=:staff a.txt /c
COPY --chown=bob:4 a.txt /d
COPY --chown=5:adm a.txt /e
