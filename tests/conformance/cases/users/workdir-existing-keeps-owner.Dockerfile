FROM users
USER bob
WORKDIR /home/alice
WORKDIR /home/alice/new
