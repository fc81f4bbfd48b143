FROM busybox AS s0
RUN echo 0 > /f
FROM s0 AS s1
RUN echo 1 >> /f
FROM s1 AS s2
RUN echo 2 >> /f
FROM s2 AS s3
RUN echo 3 >> /f
FROM s3 AS s4
RUN echo 4 >> /f
FROM scratch
COPY --from=s0 /f /0
COPY --from=s1 /f /1
COPY --from=s2 /f /2
COPY --from=s3 /f /3
COPY --from=s4 /f /4
