#: fails 4 cannot look up the owner 'alice': there is no /etc/passwd in scratch
FROM scratch
USER alice
WORKDIR /w
