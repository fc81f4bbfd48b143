FROM busybox
RUN mkdir /d && touch /d/a /d/b
RUN rm /d/a
RUN touch /d/a2 && rm -r /d
RUN mkdir /d
