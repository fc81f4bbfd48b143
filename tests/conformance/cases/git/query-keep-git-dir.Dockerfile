#: args HTTP={http}
#: differs layer/1/x/.git/*: git's sample hooks and logs are nobody's history, lade leaves them out
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?ref=main&keep-git-dir=true /x
RUN ls -d /x/.git > /found; rm -rf /x/.git
