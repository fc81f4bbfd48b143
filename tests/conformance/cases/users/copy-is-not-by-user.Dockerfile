#: context copy
FROM users
USER alice
COPY dir /home/alice/dir
