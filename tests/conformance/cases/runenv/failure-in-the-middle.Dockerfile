#: fails 4 exit code: 1
FROM busybox
RUN echo ok
RUN echo before && false && echo after
RUN echo never
