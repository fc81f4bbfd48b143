FROM busybox
WORKDIR "/quoted dir"
WORKDIR '/single'
RUN pwd > /out
