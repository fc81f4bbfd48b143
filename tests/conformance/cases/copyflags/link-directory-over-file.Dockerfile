FROM busybox
RUN touch /f
COPY --link dir /f
