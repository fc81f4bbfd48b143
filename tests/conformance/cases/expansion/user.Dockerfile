FROM busybox
ARG U=nobody
USER $U
RUN id > /tmp/out
USER ${U}:${G:-nogroup}
RUN id > /tmp/out2
