FROM busybox
COPY --link dir /d
RUN rm /d/one && touch /d/new
