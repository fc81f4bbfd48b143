FROM busybox
ENV V=env
ARG V
RUN echo $V > /out
