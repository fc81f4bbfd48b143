# That makes busybox.
ARG BASE=${TARGETOS}box
ARG NAME=${BASE/linux/busy}
FROM $NAME
ARG NAME
RUN echo $NAME > /out
