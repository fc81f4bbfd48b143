FROM no-path
RUN echo $PATH > /out
