#: fails 4 exit code: 1
FROM users
USER alice
RUN echo x > /denied
