FROM busybox
COPY --parents ./dir/./**/*.txt /x/
COPY --parents dir/./*/deep /y/
