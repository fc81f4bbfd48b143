FROM busybox
ARG A=1
ENV A=2
RUN echo $A > /out
