FROM busybox
ENV A=1 \
    # the second
    B=2 \

    C=3
