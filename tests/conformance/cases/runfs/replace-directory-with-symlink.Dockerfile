FROM merged
RUN rm -r /real && ln -s /etc /real
