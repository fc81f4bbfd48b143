FROM busybox AS base
RUN echo 1 > /order
ONBUILD RUN echo 2 >> /order
ONBUILD RUN echo 3 >> /order
FROM base
RUN echo 4 >> /order
