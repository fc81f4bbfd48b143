#: call check
FROM busybox as Build
MAINTAINER me
ENV a b
WORKDIR x
CMD echo $NOPE
CMD two
EXPOSE 80/TCP
COPY $MISSING /x
ARG TOKEN
RUN a \

  b
from scratch
