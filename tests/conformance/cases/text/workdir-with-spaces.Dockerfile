FROM busybox
WORKDIR /with some spaces
RUN touch here
