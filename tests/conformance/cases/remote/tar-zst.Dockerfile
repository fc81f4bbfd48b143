#: differs outcome/buildkit: it does not know zstd here
#: remote tar.zst
#: context copy
FROM busybox
COPY . /c/
RUN ls -R /c > /list
