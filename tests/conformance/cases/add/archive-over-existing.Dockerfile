FROM busybox
RUN mkdir -p /x/d && echo old > /x/d/file && echo stays > /x/d/stays && chmod 700 /x/d
ADD a.tar /x/
