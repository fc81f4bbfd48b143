FROM busybox
RUN echo old > /f
COPY --link a.txt /f
