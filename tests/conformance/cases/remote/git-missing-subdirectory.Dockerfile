#: remote git#main:nope
#: fails - nope
FROM busybox
COPY . /c/
RUN ls -R /c > /list
