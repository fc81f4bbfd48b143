FROM busybox
COPY --parents dir*/*.txt /x/
COPY --parents **/*.txt /y/
COPY --parents dir/**/four /z/
