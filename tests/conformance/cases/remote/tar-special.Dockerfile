#: differs tree/c/all/block type: BuildKit makes a character device of it
#: remote tar.gz
#: context special
FROM busybox
COPY . /c/
RUN ls -R /c > /list
