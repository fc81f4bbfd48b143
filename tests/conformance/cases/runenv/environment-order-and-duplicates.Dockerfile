FROM busybox
ARG A=1
ENV A=2
ARG A=3
RUN echo $A > /out
