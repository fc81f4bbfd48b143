#: fails 5 "/l" not found in the image or stage
FROM busybox AS s
RUN ln -s /nowhere /l
FROM busybox
COPY --from=s /l /x
