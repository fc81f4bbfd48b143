FROM busybox AS s
WORKDIR /w
RUN echo x > f
FROM busybox
COPY --from=s w/f /a
COPY --from=s ./w/f /b
