FROM busybox
RUN echo one \   
    two > /out
ENV A=1 \  
    B=2
