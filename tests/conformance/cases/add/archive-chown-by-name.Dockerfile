FROM users
ADD --chown=alice:staff many/one.tar /x/
