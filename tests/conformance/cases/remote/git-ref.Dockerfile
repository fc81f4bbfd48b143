#: remote git#v1
#: context copy
FROM busybox
COPY . /c/
RUN ls -R /c > /list
