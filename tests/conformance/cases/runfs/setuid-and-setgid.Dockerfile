FROM busybox
RUN cp /bin/busybox /su && chmod 4755 /su && cp /su /sg && chmod 2755 /sg && mkdir -m 2775 /gd && chown :5 /gd && touch /gd/inherits && mkdir /gd/sub
