FROM users
USER alice:staff
WORKDIR /w
USER 7:8
WORKDIR /x/y
