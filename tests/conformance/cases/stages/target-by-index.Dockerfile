#: fails - target stage "0" could not be found
#: target 0
FROM busybox AS first
RUN echo 1 > /1
FROM first
RUN exit 1
