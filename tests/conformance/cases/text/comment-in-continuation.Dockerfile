FROM busybox
RUN echo one \
# not part of it
    two \
    # neither is this, though indented
    three > /out
