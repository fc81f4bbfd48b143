FROM busybox
ENV BASE=/opt
WORKDIR $BASE/x
WORKDIR ${MISSING:-sub}
RUN pwd > /out
