FROM busybox
RUN echo end > /out \
