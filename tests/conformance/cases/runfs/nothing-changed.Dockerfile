FROM busybox
RUN true
RUN ["true"]
RUN touch /tmp/x && rm /tmp/x
