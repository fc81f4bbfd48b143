#: context ignored
FROM users
COPY --parents --chown=alice a/b/c/d /x/
