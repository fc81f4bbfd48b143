FROM busybox
RUN touch "$(printf '/b\377d')"
