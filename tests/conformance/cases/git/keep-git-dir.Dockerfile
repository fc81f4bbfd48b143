#: differs layer/1/x/.git/*: git's sample hooks and logs are nobody's history, lade leaves them out
#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --keep-git-dir=true ${HTTP}/repo.git#main /x
RUN ls -a /x > /names; cat /x/.git/HEAD >> /names; rm -rf /x/.git
