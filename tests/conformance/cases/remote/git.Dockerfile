#: remote git
#: context copy
FROM busybox
COPY . /c/
RUN ls -R /c > /list
