FROM merged
RUN rm /rel && ln -s etc /rel
