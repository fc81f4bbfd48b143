#: differs config.history: BuildKit counts the layers without history as newer than its own steps
FROM no-history
RUN echo x > /x
