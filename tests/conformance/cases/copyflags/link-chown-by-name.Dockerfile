#: fails 3 cannot look up the owner 'alice': there is no /etc/passwd in scratch
FROM users
COPY --link --chown=alice a.txt /a
