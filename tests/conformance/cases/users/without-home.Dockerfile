FROM users
USER homeless
RUN echo "[$HOME]" > /tmp/out
