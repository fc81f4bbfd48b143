FROM busybox
RUN mkdir /vol && echo one > /vol/f
VOLUME /vol
RUN echo two > /vol/f; touch /vol/g
