FROM busybox
ARG V=arg
ENV V=env
RUN echo $V > /out
LABEL v=$V
