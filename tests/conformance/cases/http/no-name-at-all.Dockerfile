#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/ /x/
