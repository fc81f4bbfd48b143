#: remote stdin
#: context copy
FROM busybox
COPY . /c/
RUN ls -R /c > /list
