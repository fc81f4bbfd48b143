FROM busybox AS a-b_c.d9
RUN echo > /f
FROM busybox
COPY --from=a-b_c.d9 /f /f
