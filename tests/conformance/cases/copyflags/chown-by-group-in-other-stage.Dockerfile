FROM users AS s
RUN touch /f
FROM busybox
COPY --from=s --chown=nobody /f /f
