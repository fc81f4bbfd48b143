FROM busybox
ARG A="two words" B='single $x'
RUN echo "$A|$B" > /out
