#: remote git#nope
#: fails - nope
FROM busybox
COPY . /c/
RUN ls -R /c > /list
