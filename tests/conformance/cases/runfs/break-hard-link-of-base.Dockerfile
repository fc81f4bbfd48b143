FROM odd
RUN echo appended >> /odd/two
