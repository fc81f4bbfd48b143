FROM busybox
COPY --parents ./dir/./sub/deep/four /x/
COPY --parents dir/sub/./deep /y/
