#: label run=one
#: args A=1
FROM busybox
ARG A
RUN echo $A > /a
LABEL a=$A
