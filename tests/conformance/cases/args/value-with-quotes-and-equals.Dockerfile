#: args A='a="b"=c'
FROM busybox
ARG A
ENV B=$A
RUN echo "$A" > /out
