FROM busybox
RUN mkdir /d && chmod 700 /d && chown 5:5 /d && touch /d/stays
COPY --link a.txt /d/
