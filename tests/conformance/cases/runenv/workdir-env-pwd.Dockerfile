FROM busybox
ENV PWD=/wrong OLDPWD=/x
WORKDIR /w
RUN echo $PWD > /out
