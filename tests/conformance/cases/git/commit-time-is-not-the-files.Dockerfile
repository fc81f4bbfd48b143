#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git /x
RUN stat -c '%a %F' /x/run.sh /x/link /x/sub /x > /out
