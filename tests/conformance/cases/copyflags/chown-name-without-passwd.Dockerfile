#: fails 3 cannot look up the owner 'alice': there is no /etc/passwd in scratch
FROM scratch
COPY --chown=alice a.txt /a
