FROM busybox
RUN echo a && \
    # comment
    echo b && \
    echo c
