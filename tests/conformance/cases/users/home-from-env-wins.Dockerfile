FROM users
ENV HOME=/mine
USER alice
RUN echo "[$HOME]" > /tmp/out
