FROM busybox
RUN mkdir /target && ln -s /target /via
COPY dir /via
COPY dir2 /via/sub
RUN find /target | sort > /list
