FROM busybox
RUN mkdir /d
COPY --chown=12:34 dir /d
