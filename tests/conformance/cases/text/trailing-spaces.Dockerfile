FROM busybox   
ENV A=1   
ENV B two   
RUN echo x > /out   
CMD echo hello   
LABEL x=y   
