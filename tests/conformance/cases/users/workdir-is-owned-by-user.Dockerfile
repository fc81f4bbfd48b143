FROM users
USER alice
WORKDIR /home/alice/a/b
WORKDIR /other/c
