FROM busybox
ARG a-b=1
RUN echo "${a-b}" > /out
