FROM users
RUN echo $HOME > /out; cd ~; pwd >> /out
