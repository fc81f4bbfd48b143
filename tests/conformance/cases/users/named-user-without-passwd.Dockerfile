#: fails 4 unable to find user alice: no matching entries in passwd file
FROM bare
USER alice
RUN true
