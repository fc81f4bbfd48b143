#: fails 4 unable to find user whoisthat: no matching entries in passwd file
FROM users
USER whoisthat
RUN true
