FROM busybox
WORKDIR a
WORKDIR b/../c
WORKDIR ./d
RUN pwd > /out
