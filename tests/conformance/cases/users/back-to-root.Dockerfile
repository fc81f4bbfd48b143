FROM users
USER alice
USER root
RUN id > /out
