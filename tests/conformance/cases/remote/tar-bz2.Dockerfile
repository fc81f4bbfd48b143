#: remote tar.bz2
#: context copy
FROM busybox
COPY . /c/
RUN ls -R /c > /list
