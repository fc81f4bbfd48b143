#: args D=/dst
FROM busybox
ARG D
COPY ["a.txt", "${D}/with space/"]
