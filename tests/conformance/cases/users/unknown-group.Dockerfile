#: fails 4 unable to find group whatgroup: no matching entries in group file
FROM users
USER alice:whatgroup
RUN true
