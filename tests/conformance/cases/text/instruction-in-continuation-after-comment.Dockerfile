FROM busybox
RUN echo a && \
# comment with trailing backslash \
    echo b > /out
