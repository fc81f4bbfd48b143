FROM busybox
RUN mkdir /x /real && ln -s /real /x/d
ADD a.tar /x/
