FROM merged
RUN rm /abs && mkdir /abs && touch /abs/x
