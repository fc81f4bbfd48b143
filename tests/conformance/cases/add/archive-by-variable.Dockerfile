#: args WHICH=a.gz
FROM busybox
ARG WHICH
ADD ${WHICH} /x/
