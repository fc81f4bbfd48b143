FROM users
RUN mkdir -m 700 /private
WORKDIR /private
USER alice
RUN pwd
