#: args HTTP={http}
FROM busybox
ARG HTTP
RUN mkdir -m 700 /x && touch /x/stays
ADD ${HTTP}/repo.git /x
