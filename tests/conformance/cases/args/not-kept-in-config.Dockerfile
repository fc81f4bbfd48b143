#: args A=secret
FROM busybox
ARG A
ENV B=$A
