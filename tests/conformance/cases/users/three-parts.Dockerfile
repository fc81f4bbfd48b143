#: differs outcome/buildkit: it ignores what follows the group
#: fails 5 unable to find group staff:more
FROM users
USER alice:staff:more
RUN true
