FROM merged
COPY dir /bin/
RUN ls -a /bin/deep /bin/sub /usr/bin/one > /out; true
