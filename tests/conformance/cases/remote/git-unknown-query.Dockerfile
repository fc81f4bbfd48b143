#: remote git?nope=1
#: fails - nope
FROM busybox
COPY . /c/
RUN ls -R /c > /list
