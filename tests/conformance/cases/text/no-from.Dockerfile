#: fails 2 no build stage in current context
RUN echo x
