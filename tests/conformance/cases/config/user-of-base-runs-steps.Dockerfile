#: fails 3 exit code: 1
FROM configured
RUN echo x > /denied
